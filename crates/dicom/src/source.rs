//! Sources of bytes: a file, memory, or a deflated stream in either, all read by position.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::DeflateDecoder;

use crate::{Error, Limits, Result};

/// A buffered file, or bytes in memory.
#[derive(Debug)]
enum Raw {
    File(BufReader<File>),
    Memory(Cursor<Vec<u8>>),
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl BufRead for Raw {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::File(file) => file.fill_buf(),
            Self::Memory(bytes) => bytes.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::File(file) => file.consume(count),
            Self::Memory(bytes) => bytes.consume(count),
        }
    }
}

impl Raw {
    /// Moves to an absolute position; a short move stays inside the buffer.
    fn seek_from(&mut self, here: u64, there: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.seek_relative(there as i64 - here as i64),
            Self::Memory(bytes) => {
                bytes.set_position(there);
                Ok(())
            }
        }
    }
}

#[derive(Debug)]
enum Stream {
    Plain(Raw),
    /// Raw deflate data from `start`; a backward seek decodes from `start` again. The decoder is `None` only during a restart.
    Deflated {
        decoder: Option<DeflateDecoder<Raw>>,
        start: u64,
    },
}

/// Bytes by position, with the path for errors. A deflated source never returns more bytes than the limit.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    stream: Stream,
    position: u64,
    /// Length, if it is known without reading.
    length: Option<u64>,
    /// Most bytes that a deflated stream may inflate to.
    limit: u64,
}

impl Source {
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let wrap = |source| Error::Io { path: path.to_path_buf(), source };
        // Before it is opened, since opening a pipe could block for ever.
        let meta = std::fs::metadata(path).map_err(wrap)?;
        if !meta.is_file() {
            return Err(Error::NotDicom { path: path.to_path_buf(), found: "a folder or special file".into() });
        }
        let file = File::open(path).map_err(wrap)?;
        Ok(Self::new(path, Raw::File(BufReader::with_capacity(1 << 16, file)), meta.len(), limits))
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Self {
        let length = bytes.len() as u64;
        Self::new(name, Raw::Memory(Cursor::new(bytes)), length, limits)
    }

    fn new(path: &Path, raw: Raw, length: u64, limits: &Limits) -> Self {
        let limit = limits.max_bytes;
        Self { path: path.to_path_buf(), stream: Stream::Plain(raw), position: 0, length: Some(length), limit }
    }

    /// Inflates the rest of the bytes, from `start`; afterwards, positions count inflated bytes from 0.
    pub(crate) fn inflate_from(self, start: u64) -> Result<Self> {
        let Stream::Plain(mut raw) = self.stream else {
            return Err(Error::Invalid {
                path: self.path,
                what: "transfer syntax".into(),
                found: "a deflated stream inside another".into(),
                expected: "only one".into(),
            });
        };
        raw.seek_from(self.position, start).map_err(|source| Error::Io { path: self.path.clone(), source })?;
        let stream = Stream::Deflated { decoder: Some(DeflateDecoder::new(raw)), start };
        Ok(Self { path: self.path, stream, position: 0, length: None, limit: self.limit })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Length in bytes; `None` for a deflated stream, whose length is unknown.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Moves to an absolute position. A position beyond the end of a deflated stream gives [`Error::Truncated`]; beyond the
    /// end of a file, the next read gives it.
    pub(crate) fn seek(&mut self, there: u64) -> Result<()> {
        let here = self.position;
        if there == here {
            return Ok(());
        }
        match &mut self.stream {
            Stream::Plain(raw) => {
                let moved = raw.seek_from(here, there);
                self.position = there;
                moved.map_err(|source| self.io(source))
            }
            Stream::Deflated { .. } => {
                if there < here {
                    self.restart()?;
                }
                self.skip(there - self.position)
            }
        }
    }

    fn restart(&mut self) -> Result<()> {
        if let Stream::Deflated { decoder, start } = &mut self.stream
            && let Some(old) = decoder.take()
        {
            let mut raw = old.into_inner();
            let sought = match &mut raw {
                Raw::File(file) => file.seek(SeekFrom::Start(*start)).map(|_| ()),
                Raw::Memory(bytes) => {
                    bytes.set_position(*start);
                    Ok(())
                }
            };
            *decoder = Some(DeflateDecoder::new(raw));
            self.position = 0;
            sought.map_err(|source| self.io(source))?;
        }
        Ok(())
    }

    fn skip(&mut self, mut count: u64) -> Result<()> {
        let mut scratch = vec![0; 1 << 16];
        while count > 0 {
            let want = count.min(scratch.len() as u64) as usize;
            let read = self.read_some(&mut scratch[..want])?;
            if read == 0 {
                return Err(Error::Truncated {
                    path: self.path.clone(),
                    what: "the deflated data set".into(),
                    needed: self.position + count,
                    found: self.position,
                });
            }
            count -= read as u64;
        }
        Ok(())
    }

    /// Reads until `buffer` is full or the source ends; returns the number of bytes read.
    pub(crate) fn read_up_to(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Fills `buffer`; too few bytes give [`Error::Truncated`], which names `what`.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8], what: impl Fn() -> String) -> Result<()> {
        let found = self.read_up_to(buffer)?;
        if found < buffer.len() {
            return Err(Error::Truncated {
                path: self.path.clone(),
                what: what(),
                needed: buffer.len() as u64,
                found: found as u64,
            });
        }
        Ok(())
    }

    /// Reads `count` bytes. Memory is allocated as bytes arrive, so that a stated length alone allocates nothing.
    pub(crate) fn read_vec(&mut self, count: usize, what: impl Fn() -> String) -> Result<Vec<u8>> {
        if let Some(length) = self.length {
            let left = length.saturating_sub(self.position);
            if (count as u64) > left {
                return Err(Error::Truncated {
                    path: self.path.clone(),
                    what: what(),
                    needed: count as u64,
                    found: left,
                });
            }
            let mut bytes = vec![0; count];
            self.read_exact(&mut bytes, what)?;
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let from = bytes.len();
            bytes.resize(count.min(from + (1 << 20)), 0);
            self.read_exact(&mut bytes[from..], &what)?;
        }
        Ok(bytes)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let outcome = match &mut self.stream {
                Stream::Plain(raw) => raw.read(buffer),
                Stream::Deflated { decoder: Some(decoder), .. } => decoder.read(buffer),
                Stream::Deflated { decoder: None, .. } => Ok(0),
            };
            match outcome {
                Ok(read) => {
                    self.position += read as u64;
                    if self.length.is_none() && self.position > self.limit {
                        return Err(Error::Limit {
                            path: self.path.clone(),
                            what: "the size of the inflated data set in bytes".into(),
                            found: self.position,
                            limit: self.limit,
                            setting: "max_bytes",
                        });
                    }
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.read_error(error)),
            }
        }
    }

    fn read_error(&self, source: io::Error) -> Error {
        match (&self.stream, source.kind()) {
            (Stream::Deflated { .. }, io::ErrorKind::UnexpectedEof) => Error::Truncated {
                path: self.path.clone(),
                what: "the deflated data set".into(),
                needed: self.position + 1,
                found: self.position,
            },
            (Stream::Deflated { .. }, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Error::Invalid {
                path: self.path.clone(),
                what: "the deflated data set".into(),
                found: format!("a corrupt stream after {} bytes", self.position),
                expected: "raw deflate (RFC 1951)".into(),
            },
            _ => self.io(source),
        }
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}
