//! A disk whose power is cut: what a program did to the files of a home is recorded, and each content is
//! built that a cut may leave, where everything that was not synced may be lost. Needs `home` beside it.
//!
//! The recorder is a small library that is preloaded, made by the C compiler when the test runs. The disk
//! promises no more than fsync(2): neither that names are kept in their order, nor that a file's name is
//! kept with its bytes, nor that bytes are kept before the name that was given to them.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::home::{Home, library};

/// What a file holds, and its mode.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// Every file and directory (`None`) below a root, by its path there.
pub type Image = BTreeMap<PathBuf, Option<Content>>;

/// What a program did to files, or that it said something to somebody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    Link { from: PathBuf, to: PathBuf },
    Make { file: u64, path: PathBuf, mode: u32 },
    MakeDirectory { path: PathBuf },
    Mode { file: u64, mode: u32 },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Said,
    Size { file: u64, size: usize },
    Sync { file: u64 },
    SyncNames { directory: PathBuf },
    Write { file: u64, at: usize, bytes: Vec<u8> },
}

/// Which of the things that were not synced a cut takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// Each by chance, bytes of one write too.
    Chance(u64),
    /// Everything.
    Everything,
    /// Bytes and sizes, but no names: the empty file of XFS and ext4.
    Data,
    /// Bytes, but neither sizes nor names: a file of zeros.
    Bytes,
    /// Nothing: only the program is gone.
    Nothing,
}

/// Records what programs do to the files of one home.
pub struct Recorder {
    tools: Home,
    root: PathBuf,
    /// The disk as it was before.
    before: Disk,
}

impl Recorder {
    /// A recorder for the home, whose files of now are all on the disk; `None` where there is no C
    /// compiler.
    pub fn new(home: &Home) -> Option<Self> {
        let tools = Home::new("");
        library("recorder.c", &tools.path("recorder.so")).then(|| Self::with(tools, home))
    }

    /// A recorder like this one for another home.
    pub fn again(&self, home: &Home) -> Self {
        let tools = Home::new("");
        let library = "recorder.so";
        fs::copy(self.tools.path(library), tools.path(library)).expect("a test's own step works");
        Self::with(tools, home)
    }

    fn with(tools: Home, home: &Home) -> Self {
        let root = fs::canonicalize(home.path("")).expect("a test's own step works");
        let before = Disk::of(&root);
        Self { tools, root, before }
    }

    /// Records what `command` will do.
    pub fn watch(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", self.tools.path("recorder.so"))
            .env("HOMING_TEST_ROOT", &self.root)
            .env("HOMING_TEST_RECORD", self.tools.path("record"));
    }

    /// Records what `command` will do until the change of that number, counted from 1, ends it.
    pub fn cut(&self, command: &mut Command, after: usize) {
        self.watch(command);
        command.env("HOMING_TEST_CUT", after.to_string());
    }

    /// The disk as it was when recording began.
    pub fn before(&self) -> Disk {
        self.before.clone()
    }

    /// Everything that was recorded.
    pub fn steps(&self) -> Vec<Step> {
        let record = fs::read(self.tools.path("record")).unwrap_or_default();
        let (mut rest, mut steps) = (record.as_slice(), Vec::new());
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, texts) = (&rest[..end], &rest[end + 1..]);
            let head = std::str::from_utf8(head).expect("the recorder writes text");
            let (word, numbers) = head.split_once(' ').expect("the recorder writes five words");
            let numbers = numbers.split(' ').map(|n| n.parse().expect("the recorder counts"));
            let [a, b, first, second] = numbers.collect::<Vec<usize>>()[..] else {
                panic!("{head}")
            };
            let (one, two) = (&texts[..first], &texts[first..first + second]);
            steps.push(self.step(word, a, b, one, two));
            rest = &texts[first + second..];
        }
        steps
    }

    fn step(&self, word: &str, a: usize, b: usize, one: &[u8], two: &[u8]) -> Step {
        let path = |text: &[u8]| {
            let text = std::str::from_utf8(text).expect("tests name files in plain letters");
            let below = Path::new(text).strip_prefix(&self.root);
            below.expect("nothing is moved out of the root").to_owned()
        };
        let file = a as u64;
        let mode = || u32::try_from(b).expect("modes are small");
        match word {
            "link" => Step::Link { from: path(one), to: path(two) },
            "make" => Step::Make { file, path: path(one), mode: mode() },
            "make-directory" => Step::MakeDirectory { path: path(one) },
            "mode" => Step::Mode { file, mode: mode() },
            "remove" => Step::Remove { path: path(one) },
            "rename" => Step::Rename { from: path(one), to: path(two) },
            "said" => Step::Said,
            "size" => Step::Size { file, size: b },
            "sync" => Step::Sync { file },
            "sync-names" => Step::SyncNames { directory: path(one) },
            "write" => Step::Write { file, at: b, bytes: one.to_owned() },
            _ => panic!("the recorder writes no {word}"),
        }
    }
}

/// A disk: what is safe on it, and what only the system's memory holds.
#[derive(Clone)]
pub struct Disk {
    files: Vec<File>,
    /// The place in `files` of the file that has this number now.
    numbers: BTreeMap<u64, usize>,
    names: BTreeMap<PathBuf, Node>,
    /// What is not safe yet: each is kept or lost as a whole.
    renamings: Vec<Vec<Naming>>,
}

#[derive(Clone, Copy)]
enum Node {
    Directory,
    File(usize),
}

/// A path, and what has that name from then on.
type Naming = (PathBuf, Option<Node>);

#[derive(Clone, Default)]
struct File {
    safe: Content,
    /// What is not safe yet.
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Mode(u32),
    Size(usize),
    Write { at: usize, bytes: Vec<u8> },
}

impl Disk {
    /// Everything below `root`, all of it safe.
    fn of(root: &Path) -> Self {
        let (names, renamings) = (BTreeMap::from([(PathBuf::new(), Node::Directory)]), Vec::new());
        let mut disk = Self { files: Vec::new(), numbers: BTreeMap::new(), names, renamings };
        for (path, content) in image(root) {
            let node = match content {
                None => Node::Directory,
                Some(safe) => {
                    let about = fs::metadata(root.join(&path)).expect("it was there");
                    disk.numbers.insert(about.ino(), disk.files.len());
                    disk.files.push(File { safe, changes: Vec::new() });
                    Node::File(disk.files.len() - 1)
                }
            };
            disk.names.insert(path, node);
        }
        disk
    }

    /// Takes the step.
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Link { from, to } => self.name(vec![(to.clone(), Some(self.node(from)))]),
            Step::Make { file, path, mode } => {
                self.numbers.insert(*file, self.files.len());
                self.files.push(File {
                    safe: Content { bytes: Vec::new(), mode: *mode },
                    changes: Vec::new(),
                });
                self.name(vec![(path.clone(), Some(Node::File(self.files.len() - 1)))]);
            }
            Step::MakeDirectory { path } => {
                self.name(vec![(path.clone(), Some(Node::Directory))]);
            }
            Step::Mode { file, mode } => self.change(*file, Change::Mode(*mode)),
            Step::Remove { path } => self.name(vec![(path.clone(), None)]),
            Step::Rename { from, to } => {
                self.name(vec![(from.clone(), None), (to.clone(), Some(self.node(from)))]);
            }
            Step::Said => {}
            Step::Size { file, size } => self.change(*file, Change::Size(*size)),
            Step::Sync { file } => {
                let file = self.file(*file);
                for change in std::mem::take(&mut file.changes) {
                    change.make(&mut file.safe);
                }
            }
            Step::SyncNames { directory } => {
                let is_in = |(path, _): &Naming| path.parent() == Some(directory);
                for renaming in std::mem::take(&mut self.renamings) {
                    if renaming.iter().any(is_in) {
                        apply(&renaming, &mut self.names);
                    } else {
                        self.renamings.push(renaming);
                    }
                }
            }
            Step::Write { file, at, bytes } => {
                self.change(*file, Change::Write { at: *at, bytes: bytes.clone() });
            }
        }
    }

    /// What a cut leaves now.
    pub fn after(&self, loss: Loss) -> Image {
        let mut chance = Chance(match loss {
            Loss::Chance(seed) => seed,
            _ => 0,
        });
        let mut names = self.names.clone();
        for renaming in &self.renamings {
            let is_kept = match loss {
                Loss::Bytes | Loss::Data | Loss::Nothing => true,
                Loss::Chance(_) => chance.of(2) == 0,
                Loss::Everything => false,
            };
            if is_kept {
                apply(renaming, &mut names);
            }
        }
        let contents: Vec<_> =
            self.files.iter().map(|file| file.after(loss, &mut chance)).collect();
        let is_reached = |path: &Path| {
            path.ancestors().skip(1).all(|above| matches!(names.get(above), Some(Node::Directory)))
        };
        let reached = names.iter().filter(|(path, _)| is_reached(path) && path.parent().is_some());
        let entry = |(path, node): (&PathBuf, &Node)| match node {
            Node::Directory => (path.clone(), None),
            Node::File(place) => (path.clone(), Some(contents[*place].clone())),
        };
        reached.map(entry).collect()
    }

    fn node(&self, path: &Path) -> Node {
        let mut names = self.names.clone();
        self.renamings.iter().for_each(|renaming| apply(renaming, &mut names));
        *names.get(path).unwrap_or_else(|| panic!("{} was not recorded", path.display()))
    }

    fn name(&mut self, renaming: Vec<Naming>) {
        self.renamings.push(renaming);
    }

    fn file(&mut self, number: u64) -> &mut File {
        &mut self.files[self.numbers[&number]]
    }

    fn change(&mut self, number: u64, change: Change) {
        self.file(number).changes.push(change);
    }
}

fn apply(renaming: &[Naming], names: &mut BTreeMap<PathBuf, Node>) {
    for (path, node) in renaming {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}

impl File {
    fn after(&self, loss: Loss, chance: &mut Chance) -> Content {
        let mut content = self.safe.clone();
        for change in &self.changes {
            match loss {
                Loss::Bytes => change.size_only().make(&mut content),
                Loss::Chance(_) => match chance.of(4) {
                    0 => {}
                    1 => change.size_only().make(&mut content),
                    2 => change.begun(chance).make(&mut content),
                    _ => change.clone().make(&mut content),
                },
                Loss::Data | Loss::Everything => {}
                Loss::Nothing => change.clone().make(&mut content),
            }
        }
        content
    }
}

impl Change {
    fn make(self, content: &mut Content) {
        match self {
            Self::Mode(mode) => content.mode = mode,
            Self::Size(size) => content.bytes.resize(size, 0),
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                content.bytes.resize(end.max(content.bytes.len()), 0);
                content.bytes[at..end].copy_from_slice(&bytes);
            }
        }
    }

    /// The change without the bytes, which are zeros.
    fn size_only(&self) -> Self {
        match self {
            Self::Write { at, bytes } => Self::Write { at: *at, bytes: vec![0; bytes.len()] },
            other => other.clone(),
        }
    }

    /// The change with only the first of the bytes.
    fn begun(&self, chance: &mut Chance) -> Self {
        match self {
            Self::Write { at, bytes } => {
                let count = chance.of(bytes.len() + 1);
                Self::Write { at: *at, bytes: bytes[..count].to_owned() }
            }
            other => other.clone(),
        }
    }
}

/// Chance that is the same whenever the test runs: Steele's `SplitMix64`.
struct Chance(u64);

impl Chance {
    /// A number below `count`.
    fn of(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).expect("it is below a usize")
    }
}

/// Everything below `root`.
pub fn image(root: &Path) -> Image {
    let mut image = Image::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory)).expect("a test's own step works") {
            let entry = entry.expect("a test's own step works");
            let (path, about) = (directory.join(entry.file_name()), entry.metadata());
            let about = about.expect("a test's own step works");
            let content = about.is_file().then(|| Content {
                bytes: fs::read(entry.path()).expect("a test's own step works"),
                mode: about.mode() & 0o7777,
            });
            if content.is_none() {
                directories.push(path.clone());
            }
            image.insert(path, content);
        }
    }
    image
}

/// A home with the files of `image`.
pub fn home_of(image: &Image) -> Home {
    let home = Home::new("");
    fs::remove_file(home.path("config.toml")).expect("a test's own step works");
    for (path, content) in image {
        let place = home.path(path.to_str().expect("tests name files in plain letters"));
        let mode = match content {
            None => {
                fs::create_dir(&place).expect("a test's own step works");
                0o700
            }
            Some(content) => {
                fs::write(&place, &content.bytes).expect("a test's own step works");
                content.mode
            }
        };
        fs::set_permissions(place, fs::Permissions::from_mode(mode))
            .expect("a test's own step works");
    }
    home
}
