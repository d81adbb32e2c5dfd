//! Reads the bits of a scan: highest first, and only seven bits of a byte after FF (T.87 9.1).

#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    /// Buffered bits, starting at the highest.
    held: u64,
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, held: 0, count: 0, after_ff: false }
    }

    /// Number of bytes taken from the data, including those whose bits are still buffered.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Buffers bytes until more than 56 bits are buffered, a marker follows or the data ends.
    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.position) else { return };
            // FF before a byte with its high bit set begins a marker.
            if byte == 0xFF && self.data.get(self.position + 1).is_none_or(|&next| next >= 0x80) {
                return;
            }
            let width = if self.after_ff { 7 } else { 8 };
            self.held |= u64::from(byte) << (64 - width - self.count);
            self.count += width;
            self.after_ff = byte == 0xFF;
            self.position += 1;
        }
    }

    fn drop(&mut self, count: u32) {
        self.held = if count >= 64 { 0 } else { self.held << count };
        self.count -= count;
    }

    /// Reads `count` bits, at most 32.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, String> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.fill();
            if self.count < count {
                return Err(self.ended());
            }
        }
        let value = (self.held >> (64 - count)) as u32;
        self.drop(count);
        Ok(value)
    }

    /// Counts the zeros before the next one and consumes them and the one; more than `most` zeros are an error.
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32, String> {
        let mut zeros = 0;
        loop {
            if self.count == 0 {
                self.fill();
            }
            let found = self.held.leading_zeros().min(self.count);
            zeros += found;
            if zeros > most {
                return Err(format!("a prefix of more than {most} zeros"));
            }
            if found < self.count {
                self.drop(found + 1);
                return Ok(zeros);
            }
            if self.count == 0 {
                return Err(self.ended());
            }
            self.drop(found);
        }
    }

    fn ended(&self) -> String {
        format!("the scan ends after {} bytes, before its last pixel", self.position)
    }
}
