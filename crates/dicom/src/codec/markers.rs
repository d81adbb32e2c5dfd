//! Markers of JPEG codestreams (ITU-T T.81 annex B), which JPEG-LS uses too.

/// A reader over a codestream that never reads beyond its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Markers<'a> {
    data: &'a [u8],
    position: usize,
}

/// A marker with its parameters; markers that stand alone have none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marker<'a> {
    pub(crate) code: u8,
    pub(crate) body: &'a [u8],
}

pub(crate) const SOI: u8 = 0xD8;
pub(crate) const EOI: u8 = 0xD9;
pub(crate) const SOS: u8 = 0xDA;

impl<'a> Markers<'a> {
    /// Starts after the SOI marker.
    pub(crate) fn new(data: &'a [u8]) -> Result<Self, String> {
        if !data.starts_with(&[0xFF, SOI]) {
            return Err("the codestream does not begin with SOI (FFD8)".into());
        }
        Ok(Self { data, position: 2 })
    }

    /// Returns the next marker; skips the bytes before it (padding, or bytes that an entropy decoder did not use).
    pub(crate) fn next(&mut self) -> Result<Marker<'a>, String> {
        loop {
            let rest = self.data.get(self.position..).unwrap_or_default();
            let Some(found) = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF))
            else {
                return Err(format!("no further marker after byte {}", self.position));
            };
            let code = rest[found + 1];
            self.position += found + 2;
            match code {
                // Restart markers that a scan did not consume, and TEM.
                0x01 | 0xD0..=0xD7 => {}
                SOI | EOI => return Ok(Marker { code, body: &[] }),
                0x02..=0x7F => {}
                _ => return self.body(code),
            }
        }
    }

    /// Checks that the end marker (EOI) follows the last scan; segments before it are skipped. Where it is missing, the codestream was
    /// cut, at best within its padding.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        loop {
            let marker = self
                .next()
                .map_err(|_| "the codestream is cut short: no end marker (EOI, FFD9) after the last scan")?;
            if marker.code == EOI {
                return Ok(());
            }
        }
    }

    fn body(&mut self, code: u8) -> Result<Marker<'a>, String> {
        let rest = &self.data[self.position..];
        let length = rest.first_chunk::<2>().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        let body = rest
            .get(2..length)
            .ok_or_else(|| format!("marker FF{code:02X} is truncated or has a wrong length ({length})"))?;
        self.position += length;
        Ok(Marker { code, body })
    }

    /// The bytes after the last marker: after SOS, the entropy-coded data.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.data.get(self.position..).unwrap_or_default()
    }

    /// Skips the bytes that an entropy decoder used.
    pub(crate) fn advance(&mut self, used: usize) {
        self.position = (self.position + used).min(self.data.len());
    }
}

/// A component of a frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Horizontal and vertical sampling factors.
    pub(crate) h: usize,
    pub(crate) v: usize,
    /// Index of the quantisation table.
    pub(crate) table: usize,
}

/// A frame header (SOF).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) precision: u8,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) components: Vec<Component>,
}

impl FrameHeader {
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let &[precision, r0, r1, c0, c1, count] = body.first_chunk::<6>().ok_or("the frame header is truncated")?;
        let parts = body.get(6..6 + 3 * usize::from(count)).ok_or("the frame header is truncated")?;
        let components = parts
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[id, sampling, table]| {
                let (h, v) = (usize::from(sampling >> 4), usize::from(sampling & 15));
                if !(1..=4).contains(&h) || !(1..=4).contains(&v) || table > 3 {
                    return Err(format!(
                        "a component with sampling factors {h}x{v} and table {table}, expected factors 1 to 4 and table 0 to 3"
                    ));
                }
                Ok(Component { id, h, v, table: usize::from(table) })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let size = |high, low| usize::from(u16::from_be_bytes([high, low]));
        Ok(Self { precision, rows: size(r0, r1), columns: size(c0, c1), components })
    }

    /// Checks that the frame header has the size and the number of components that the DICOM header states.
    pub(crate) fn check(&self, rows: usize, columns: usize, samples: usize) -> Result<(), String> {
        let found = (self.rows, self.columns, self.components.len());
        if found != (rows, columns, samples) {
            return Err(format!(
                "the codestream holds {} x {} pixels of {} components, expected {columns} x {rows} of {samples}",
                self.columns, self.rows, found.2
            ));
        }
        Ok(())
    }
}

/// A component of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanComponent {
    /// Index in the frame header.
    pub(crate) index: usize,
    /// The byte that selects tables: the DC and AC Huffman tables, or the mapping table of JPEG-LS.
    pub(crate) tables: u8,
}

/// A scan header (SOS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanHeader {
    pub(crate) components: Vec<ScanComponent>,
    /// The last three bytes: Ss, Se, Ah and Al in T.81; NEAR, ILV, Al in T.87.
    pub(crate) parameters: [u8; 3],
}

impl ScanHeader {
    pub(crate) fn read(body: &[u8], frame: &FrameHeader) -> Result<Self, String> {
        let count = usize::from(*body.first().ok_or("the scan header is truncated")?);
        let parts = body.get(1..1 + 2 * count).ok_or("the scan header is truncated")?;
        let parameters = *body[1 + 2 * count..].first_chunk::<3>().ok_or("the scan header is truncated")?;
        let mut components: Vec<ScanComponent> = Vec::with_capacity(count);
        for &[id, tables] in parts.as_chunks::<2>().0 {
            let index = frame.components.iter().position(|component| component.id == id);
            let index = index.ok_or_else(|| format!("a scan names component {id}, which the frame does not have"))?;
            if components.iter().any(|component| component.index == index) {
                return Err(format!("a scan names component {id} twice"));
            }
            components.push(ScanComponent { index, tables });
        }
        if components.is_empty() || components.len() > 4 {
            return Err(format!("a scan of {count} components, expected 1 to 4"));
        }
        Ok(Self { components, parameters })
    }
}
