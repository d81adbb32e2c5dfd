//! The stack machine.

use super::{Global, Id, Node, Storage, TensorRef, opcode};
use crate::array::Strided;
use std::collections::HashMap;

/// A pickle that was read: nodes, and which of them is the result.
#[derive(Debug)]
pub(crate) struct Pickle {
    nodes: Vec<Node>,
    pub(crate) root: Id,
}

impl Pickle {
    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// Every storage that the pickle names.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// The text at a node.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a dictionary, or of a module's attributes.
    pub(crate) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match &self.nodes[id] {
            Node::Dict(entries) => Some(entries),
            Node::Module(Some(attributes)) => match &self.nodes[*attributes] {
                Node::Dict(entries) => Some(entries),
                _ => None,
            },
            _ => None,
        }
    }
}

type Step<T> = Result<T, String>;

/// Longest name of a global or a storage. Names are copied, so their length must not grow with the pickle's.
const LONGEST_NAME: usize = 256;

/// Reads one pickle from the start of `bytes`; returns it with its number of bytes. `script` allows TorchScript's classes.
pub(crate) fn read(bytes: &[u8], script: bool) -> Step<(Pickle, usize)> {
    let mut machine = Machine {
        bytes,
        at: 0,
        script,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copies: bytes.len(),
    };
    loop {
        let code = machine.take(1)?[0];
        if code == opcode::STOP {
            let root = machine.pop()?;
            return Ok((Pickle { nodes: machine.nodes, root }, machine.at));
        }
        machine.execute(code)?;
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    script: bool,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// How much may still be copied from remembered nodes (entries of lists, sizes of tensors, bytes of names). It begins as the
    /// number of the pickle's bytes.
    copies: usize,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let part = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        let part = part.ok_or_else(|| format!("the pickle ends early, at byte {}", self.bytes.len()))?;
        self.at += count;
        Ok(part)
    }

    fn unsigned<const N: usize>(&mut self) -> Step<u64> {
        let bytes = self.take(N)?;
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn length<const N: usize>(&mut self) -> Step<usize> {
        usize::try_from(self.unsigned::<N>()?).map_err(|_| "a length that does not fit in memory".to_owned())
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("the pickle ends early, within a name")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| "a name that is not UTF-8".to_owned())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(format!("the pickle takes from an empty stack before byte {}", self.at));
        }
        Ok(self.stack.pop().unwrap_or_default())
    }

    fn top(&self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.get(floor..).and_then(<[Id]>::last);
        top.copied().ok_or_else(|| format!("the pickle reads from an empty stack before byte {}", self.at))
    }

    /// Takes everything above the last mark from the stack.
    fn marked(&mut self) -> Step<Vec<Id>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| format!("the pickle uses a mark that was not set, before byte {}", self.at))?;
        Ok(self.stack.split_off(mark))
    }

    fn execute(&mut self, code: u8) -> Step<()> {
        match code {
            opcode::PROTO => match self.unsigned::<1>()? {
                0..=5 => {}
                version => return Err(format!("pickle protocol {version}, expected at most 5")),
            },
            opcode::FRAME => drop(self.take(8)?),
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP => drop(self.pop()?),
            opcode::POP_MARK => drop(self.marked()?),
            opcode::NONE => self.push(Node::None),
            opcode::NEWTRUE => self.push(Node::Bool(true)),
            opcode::NEWFALSE => self.push(Node::Bool(false)),
            opcode::BININT => {
                let value = self.unsigned::<4>()? as u32;
                self.push(Node::Int(i64::from(value as i32)));
            }
            opcode::BININT1 => {
                let value = self.unsigned::<1>()?;
                self.push(Node::Int(value as i64));
            }
            opcode::BININT2 => {
                let value = self.unsigned::<2>()?;
                self.push(Node::Int(value as i64));
            }
            opcode::LONG1 => {
                let length = self.length::<1>()?;
                self.long(length)?;
            }
            opcode::LONG4 => {
                let length = self.length::<4>()?;
                self.long(length)?;
            }
            opcode::BINFLOAT => {
                self.take(8)?;
                self.push(Node::Float);
            }
            opcode::BINUNICODE | opcode::BINSTRING => {
                let length = self.length::<4>()?;
                self.string(length)?;
            }
            opcode::SHORT_BINUNICODE | opcode::SHORT_BINSTRING => {
                let length = self.length::<1>()?;
                self.string(length)?;
            }
            opcode::BINUNICODE8 => {
                let length = self.length::<8>()?;
                self.string(length)?;
            }
            opcode::BINBYTES => {
                let length = self.length::<4>()?;
                self.take(length)?;
                self.push(Node::Bytes);
            }
            opcode::SHORT_BINBYTES => {
                let length = self.length::<1>()?;
                self.take(length)?;
                self.push(Node::Bytes);
            }
            _ => return self.execute_structure(code),
        }
        Ok(())
    }

    fn execute_structure(&mut self, code: u8) -> Step<()> {
        match code {
            opcode::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            opcode::EMPTY_LIST => self.push(Node::List(Vec::new())),
            opcode::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            opcode::LIST => {
                let items = self.marked()?;
                self.push(Node::List(items));
            }
            opcode::TUPLE => {
                let items = self.marked()?;
                self.push(Node::Tuple(items));
            }
            opcode::TUPLE1 | opcode::TUPLE2 | opcode::TUPLE3 => {
                let mut items = Vec::new();
                for _ in opcode::TUPLE1..=code {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Node::Tuple(items));
            }
            opcode::DICT => {
                let items = self.marked()?;
                self.push(Node::Dict(pairs(&items)?));
            }
            opcode::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            opcode::SETITEMS => {
                let items = self.marked()?;
                self.extend_dict(&items)?;
            }
            opcode::APPEND => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            opcode::APPENDS => {
                let items = self.marked()?;
                self.extend_list(&items)?;
            }
            opcode::BINPUT => {
                let name = self.unsigned::<1>()? as u32;
                self.remember(name)?;
            }
            opcode::LONG_BINPUT => {
                let name = self.unsigned::<4>()? as u32;
                self.remember(name)?;
            }
            opcode::MEMOIZE => self.remember(self.memo.len() as u32)?,
            opcode::BINGET => {
                let name = self.unsigned::<1>()? as u32;
                self.recall(name)?;
            }
            opcode::LONG_BINGET => {
                let name = self.unsigned::<4>()? as u32;
                self.recall(name)?;
            }
            opcode::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.name(module)?, self.name(name)?);
                self.global(&module, &name)?;
            }
            opcode::REDUCE | opcode::NEWOBJ => self.reduce()?,
            opcode::BUILD => self.build()?,
            opcode::BINPERSID => self.storage()?,
            other => return Err(format!("pickle instruction {other:#04x}, which files of weights do not need")),
        }
        Ok(())
    }

    /// A whole number in two's complement; the value of one with more than 64 bits is not needed and not kept.
    fn long(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|&byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let node = if length <= 8 {
            let mut whole = [sign; 8];
            whole[..length].copy_from_slice(bytes);
            Node::Int(i64::from_le_bytes(whole))
        } else {
            Node::Bytes
        };
        self.push(node);
        Ok(())
    }

    fn string(&mut self, length: usize) -> Step<()> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Node::Str(text));
        Ok(())
    }

    fn remember(&mut self, name: u32) -> Step<()> {
        let top = self.top()?;
        self.memo.insert(name, top);
        Ok(())
    }

    fn recall(&mut self, name: u32) -> Step<()> {
        let id =
            self.memo.get(&name).ok_or_else(|| format!("the pickle reads memo entry {name}, which it never stored"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Step<()> {
        let (entries, dict) = (pairs(items)?, self.top()?);
        match &mut self.nodes[dict] {
            Node::Dict(into) => into.extend(entries),
            _ => return Err("the pickle sets items of something that is not a dictionary".to_owned()),
        }
        Ok(())
    }

    fn extend_list(&mut self, items: &[Id]) -> Step<()> {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(into) => into.extend(items),
            _ => return Err("the pickle appends to something that is not a list".to_owned()),
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let global = Global::find(module, name, self.script).ok_or_else(|| {
            format!(
                "its pickle refers to {}.{}, which is neither a tensor nor a plain container",
                clean(module),
                clean(name)
            )
        })?;
        self.push(Node::Global(global));
        Ok(())
    }

    /// Makes the result of a call; only the few calls that make data are allowed.
    fn reduce(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (&Node::Global(global), Node::Tuple(arguments)) = (&self.nodes[function], &self.nodes[arguments]) else {
            return Err("the pickle calls something that is not a name, or calls it without a tuple".to_owned());
        };
        let node = match (global, arguments.as_slice()) {
            (Global::OrderedDict, []) => Node::Dict(Vec::new()),
            (Global::OrderedDict, &[list]) => {
                let entries = self.entries_of(list)?;
                self.count_copies(entries.len())?;
                Node::Dict(entries)
            }
            (Global::Tensor, &[storage, offset, shape, strides, ..]) => {
                let Node::Storage(storage) = &self.nodes[storage] else {
                    return Err("a tensor without a storage".to_owned());
                };
                let storage = storage.clone();
                let offset = self.size(offset)?;
                let place = Strided { offset, shape: self.sizes(shape)?, strides: self.sizes(strides)? };
                self.count_copies(storage.key.len() + place.shape.len() + place.strides.len())?;
                Node::Tensor(Box::new(TensorRef { storage, place }))
            }
            (Global::Parameter | Global::Tagged | Global::Size, &[first, ..]) => {
                self.stack.push(first);
                return Ok(());
            }
            (Global::Class, _) => Node::Module(None),
            (global, _) => return Err(format!("the pickle calls {global:?} with wrong arguments")),
        };
        self.push(node);
        Ok(())
    }

    fn count_copies(&mut self, count: usize) -> Step<()> {
        self.copies = self.copies.checked_sub(count).ok_or("the pickle copies more entries than it has bytes")?;
        Ok(())
    }

    /// The entries of a list of pairs. At most one more entry is read than may be copied.
    fn entries_of(&self, list: Id) -> Step<Vec<(Id, Id)>> {
        let wrong = || "an OrderedDict of something other than pairs".to_owned();
        let Node::List(items) = &self.nodes[list] else { return Err(wrong()) };
        let entry = |&item: &Id| match &self.nodes[item] {
            Node::Tuple(pair) | Node::List(pair) => match pair.as_slice() {
                &[key, value] => Ok((key, value)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        };
        items.iter().take(self.copies + 1).map(entry).collect()
    }

    /// A text of at most `LONGEST_NAME` bytes.
    fn name(&self, id: Id) -> Step<String> {
        match &self.nodes[id] {
            Node::Str(text) if text.len() <= LONGEST_NAME => Ok(text.clone()),
            _ => Err(format!("a name that is not a text of at most {LONGEST_NAME} bytes")),
        }
    }

    fn size(&self, id: Id) -> Step<usize> {
        match self.nodes[id] {
            Node::Int(value) => {
                usize::try_from(value).map_err(|_| format!("a size, stride or offset of {value}, expected at least 0"))
            }
            _ => Err("a size, stride or offset that is not a number".to_owned()),
        }
    }

    fn sizes(&self, id: Id) -> Step<Vec<usize>> {
        match &self.nodes[id] {
            Node::Tuple(items) | Node::List(items) if items.len() <= 16 => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            _ => Err("a shape that is not a tuple of at most 16 sizes".to_owned()),
        }
    }

    /// Sets the state of an object. A module keeps it; the state of a dictionary is only metadata, such as PyTorch's versions.
    fn build(&mut self) -> Step<()> {
        let (state, object) = (self.pop()?, self.top()?);
        match &mut self.nodes[object] {
            Node::Module(attributes) => *attributes = Some(state),
            Node::Dict(_) => {}
            _ => return Err("the pickle sets the state of something that has none".to_owned()),
        }
        Ok(())
    }

    /// Reads a storage: `("storage", type, key, location, number of values, ..)`.
    fn storage(&mut self) -> Step<()> {
        let tuple = self.pop()?;
        let wrong = || "a persistent id that is not a storage".to_owned();
        let Node::Tuple(items) = &self.nodes[tuple] else { return Err(wrong()) };
        let &[kind, storage_type, key, _, len, ref view @ ..] = items.as_slice() else { return Err(wrong()) };
        let (Node::Str(kind), &Node::Global(global)) = (&self.nodes[kind], &self.nodes[storage_type]) else {
            return Err(wrong());
        };
        if kind != "storage" {
            return Err(wrong());
        }
        if view.iter().any(|&id| self.nodes[id] != Node::None) {
            return Err("a storage that is a view of another, which PyTorch wrote before version 0.4".to_owned());
        }
        let dtype = match global {
            Global::Storage(dtype) => dtype,
            Global::Bytes => crate::array::Dtype::U8,
            _ => return Err(wrong()),
        };
        let key = match &self.nodes[key] {
            Node::Int(key) => key.to_string(),
            _ => self.name(key)?,
        };
        self.count_copies(key.len())?;
        let node = Node::Storage(Storage { key, dtype, len: self.size(len)? });
        self.push(node);
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Step<Vec<(Id, Id)>> {
    if items.len() % 2 == 1 {
        return Err("a dictionary with a key that has no value".to_owned());
    }
    Ok(items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)).collect())
}

/// A name from the file, made safe for a message.
fn clean(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(80).collect()
}
