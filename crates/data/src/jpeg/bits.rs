//! The entropy-coded bytes of a JPEG as bits and Huffman codes (ITU-T T.81, C and F.2.2).

/// What is wrong with a file, in words that continue "the JPEG is not whole: ".
pub(super) type Fault = &'static str;

/// Why the bits end too early.
const CUT: Fault = "it ends within its picture";
const MARKER: Fault = "a marker stands within its picture";

/// The number of bits that are looked up at once; longer codes are rare.
const LOOKED_UP: u32 = 8;

/// A Huffman table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// For every prefix of `LOOKED_UP` bits the code's length and value; the length is 0 if the code is longer.
    short: Vec<(u8, u8)>,
    /// For every length from 1 to 16 the first code, the first code of this length that is not used, and the index of the first value.
    lengths: [(u32, u32, usize); 16],
    values: Vec<u8>,
}

impl Table {
    /// Builds the canonical table of `counts` codes of each length from 1 to 16.
    pub(super) fn new(counts: &[u8], values: &[u8]) -> Result<Self, Fault> {
        let mut lengths = [(0, 0, 0); 16];
        let mut short = vec![(0, 0); 1 << LOOKED_UP];
        let (mut code, mut index) = (0_u32, 0_usize);
        for (place, &count) in counts.iter().enumerate() {
            let length = place as u32 + 1;
            lengths[place] = (code, code + u32::from(count), index);
            for _ in 0..count {
                if length <= LOOKED_UP {
                    let first = (code << (LOOKED_UP - length)) as usize;
                    let prefixes = short.get_mut(first..first + (1 << (LOOKED_UP - length)));
                    let value = *values.get(index).ok_or("a Huffman table is short")?;
                    prefixes.ok_or("a Huffman table has too many codes")?.fill((length as u8, value));
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return Err("a Huffman table has too many codes");
            }
            code <<= 1;
        }
        let values = values.get(..index).ok_or("a Huffman table is short")?.to_vec();
        Ok(Self { short, lengths, values })
    }
}

/// Bits that are read from `at` on, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The bits that were read from the file and not used yet are the lowest `count`.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0 }
    }

    /// Reads bytes until no more fit or a marker follows. A 0xff in the picture is followed by a 0, which is dropped.
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                Some([0xff, ..] | []) | None => return,
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// Why no more bits follow.
    fn ended(&self) -> Fault {
        if self.at + 1 >= self.bytes.len() { CUT } else { MARKER }
    }

    /// The next `count` bits, at most 16.
    pub(super) fn get(&mut self, count: u32) -> Result<u32, Fault> {
        if self.count < count {
            self.fill();
            if self.count < count {
                return Err(self.ended());
            }
        }
        self.count -= count;
        Ok((self.held >> self.count) as u32 & ((1 << count) - 1))
    }

    /// The value of the next code.
    pub(super) fn code(&mut self, table: &Table) -> Result<u8, Fault> {
        if self.count < 16 {
            self.fill();
        }
        // Behind the last bit, zeros are looked at, but never used.
        let next = if self.count < 16 { self.held << (16 - self.count) } else { self.held >> (self.count - 16) } as u32;
        let next = next & 0xffff;
        let (length, value) = table.short[(next >> (16 - LOOKED_UP)) as usize];
        let found = if length > 0 {
            Some((u32::from(length), value))
        } else {
            (LOOKED_UP + 1..=16).find_map(|length| {
                let code = next >> (16 - length);
                let (first, end, index) = table.lengths[length as usize - 1];
                (first..end).contains(&code).then(|| (length, table.values[index + (code - first) as usize]))
            })
        };
        match found {
            Some((length, value)) if length <= self.count => {
                self.count -= length;
                Ok(value)
            }
            None if self.count >= 16 => Err("it holds a code that its tables do not have"),
            _ => Err(self.ended()),
        }
    }

    /// Drops the padding up to the next whole byte, and returns that byte's position in the file.
    pub(super) fn align(&mut self) -> usize {
        for _ in 0..self.count / 8 {
            self.at -= 1;
            // A 0 behind 0xff was read together with it.
            if self.bytes[self.at] == 0 && self.at > 0 && self.bytes[self.at - 1] == 0xff {
                self.at -= 1;
            }
        }
        self.count = 0;
        self.at
    }

    /// Goes on at another place.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
        self.count = 0;
    }
}

/// A value of `bits` bits with its sign (T.81, F.2.2.1): the lower half of the numbers are negative.
pub(super) fn signed(value: u32, bits: u32) -> i64 {
    let value = i64::from(value);
    if bits == 0 || value >> (bits - 1) != 0 { value } else { value - (1 << bits) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of T.81, K.3, for the DC values of luma.
    #[test]
    fn codes_are_read_as_the_standard_lists_them() {
        let table =
            Table::new(&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &(0..12).collect::<Vec<u8>>()).unwrap();
        // 00, 010 and 111111110, then two bits of padding and a marker.
        let bytes = [0b0001_0111, 0b1111_1011, 0xff, 0xd9];
        let mut bits = Bits::new(&bytes, 0);
        assert_eq!([0, 1, 11].map(|_| bits.code(&table).unwrap()), [0, 1, 11]);
        assert_eq!(bits.align(), 2);
        assert_eq!(bits.get(1).unwrap_err(), MARKER);
        assert_eq!(Bits::new(&[0xff], 0).get(1).unwrap_err(), CUT);
        let mut stuffed = Bits::new(&[0xff, 0, 0xff, 0, 7], 0);
        assert_eq!((stuffed.get(4), stuffed.align()), (Ok(15), 2));
        assert_eq!([(0, 3), (3, 3), (4, 3), (7, 3)].map(|(value, bits)| signed(value, bits)), [-7, -4, 4, 7]);
        assert!(Table::new(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[1, 2, 3]).is_err());
        assert!(Table::new(&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[1]).is_err());
    }
}
