//! Quantisation and Huffman tables of a codestream (T.81 annex B.2.4).

use super::huffman::Table;

/// Position in a row-major block of each coefficient in zigzag order (figure A.6).
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Tables that stay valid until they are replaced.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) quantisation: [Option<Box<[u16; 64]>>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// Restart interval in MCUs; 0 for none.
    pub(super) restart: usize,
}

impl Tables {
    pub(super) fn read_quantisation(&mut self, mut body: &[u8]) -> Result<(), String> {
        while let Some((&kind, rest)) = body.split_first() {
            let (wide, index) = (kind >> 4, usize::from(kind & 15));
            let size = if wide == 0 { 64 } else { 128 };
            if index > 3 || wide > 1 || rest.len() < size {
                return Err(format!(
                    "quantisation table {kind:02X} with {} bytes, expected 00 to 03 with 64 or 10 to 13 with 128",
                    rest.len()
                ));
            }
            let mut table = Box::new([0; 64]);
            for (place, &natural) in ZIGZAG.iter().enumerate() {
                table[natural] = match wide {
                    0 => u16::from(rest[place]),
                    _ => u16::from_be_bytes([rest[2 * place], rest[2 * place + 1]]),
                };
            }
            self.quantisation[index] = Some(table);
            body = &rest[size..];
        }
        Ok(())
    }

    pub(super) fn read_huffman(&mut self, mut body: &[u8]) -> Result<(), String> {
        while let Some((&kind, rest)) = body.split_first() {
            let counts = rest.first_chunk::<16>().ok_or("a Huffman table is truncated")?;
            let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let values = rest.get(16..16 + total).ok_or("a Huffman table is truncated")?;
            let (class, index) = (kind >> 4, usize::from(kind & 15));
            if class > 1 || index > 3 {
                return Err(format!("Huffman table {kind:02X}, expected 00 to 03 or 10 to 13"));
            }
            let table = Some(Table::new(counts, values)?);
            if class == 0 {
                self.dc[index] = table;
            } else {
                self.ac[index] = table;
            }
            body = &rest[16 + total..];
        }
        Ok(())
    }

    pub(super) fn dc(&self, index: u8) -> Result<&Table, String> {
        let table = self.dc.get(usize::from(index)).and_then(Option::as_ref);
        table.ok_or_else(|| format!("the scan uses DC table {index}, which is not defined"))
    }

    pub(super) fn ac(&self, index: u8) -> Result<&Table, String> {
        let table = self.ac.get(usize::from(index)).and_then(Option::as_ref);
        table.ok_or_else(|| format!("the scan uses AC table {index}, which is not defined"))
    }
}
