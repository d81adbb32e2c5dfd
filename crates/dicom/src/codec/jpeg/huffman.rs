//! Bits and Huffman codes of entropy-coded segments (T.81 annex F.2.2).

/// Number of bits that one table look-up covers.
const FAST: u32 = 9;

/// A Huffman table.
#[derive(Debug)]
pub(super) struct Table {
    /// Value and code length, indexed by the next `FAST` bits; length 0 if the code is longer.
    fast: Vec<(u8, u8)>,
    /// For each length: one more than the largest code, shifted to 16 bits.
    ends: [u32; 17],
    /// For each length: the number that is added to a code to get its index in `values`.
    offsets: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// Builds a table from the number of codes of each length and their values (annex C.2).
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, String> {
        let mut table =
            Self { fast: vec![(0, 0); 1 << FAST], ends: [0; 17], offsets: [0; 17], values: values.to_vec() };
        let (mut code, mut index) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offsets[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length {
                return Err("a Huffman table has more codes than their lengths allow".into());
            }
            if length <= FAST {
                let shift = FAST - length;
                for offset in 0..count {
                    let entry = (values[index + offset as usize], length as u8);
                    let from = ((code + offset) << shift) as usize;
                    table.fast[from..from + (1 << shift)].fill(entry);
                }
            }
            code += count;
            index += count as usize;
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

/// Bits of one entropy-coded segment, highest first; a zero byte after FF is stuffing, any other byte after FF forms a marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, held: 0, count: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.position) else { return };
            let mut step = 1;
            if byte == 0xFF {
                if self.data.get(self.position + 1) != Some(&0) {
                    return;
                }
                step = 2;
            }
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.position += step;
        }
    }

    fn drop(&mut self, count: u32) -> Result<(), String> {
        if count > self.count {
            return Err(format!("the scan ends after {} bytes, before its last pixel", self.position));
        }
        self.held <<= count;
        self.count -= count;
        Ok(())
    }

    /// Decodes the next value with a table.
    pub(super) fn decode(&mut self, table: &Table) -> Result<u8, String> {
        if self.count < 16 {
            self.fill();
        }
        let (value, length) = table.fast[(self.held >> (64 - FAST)) as usize];
        if length != 0 {
            self.drop(u32::from(length))?;
            return Ok(value);
        }
        let next = (self.held >> 48) as u32;
        let length = (FAST as usize + 1..=16).find(|&length| next < table.ends[length]);
        let length = length.ok_or("a Huffman code that is not in its table")?;
        let index = table.offsets[length] + (next >> (16 - length)) as i32;
        self.drop(length as u32)?;
        table.values.get(index as usize).copied().ok_or_else(|| "a Huffman code that is not in its table".into())
    }

    /// Reads a number of `count` bits (at most 16), signed as in F.2.2.1: the lower half of the codes are negative numbers.
    pub(super) fn signed(&mut self, count: u32) -> Result<i32, String> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.fill();
        }
        let value = (self.held >> (64 - count)) as i32;
        self.drop(count)?;
        Ok(if value < 1 << (count - 1) { value - (1 << count) + 1 } else { value })
    }

    /// Skips a restart marker, which must come next.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        // Unused whole bytes are padding that some encoders write before the marker.
        self.held = 0;
        self.count = 0;
        match self.data.get(self.position..self.position + 2) {
            Some([0xFF, 0xD0..=0xD7]) => {
                self.position += 2;
                Ok(())
            }
            _ => Err(format!("no restart marker at byte {} of the scan", self.position)),
        }
    }
}
