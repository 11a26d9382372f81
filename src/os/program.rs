//! Runs the user's programs: those that print an address, and those that run after a change.
//!
//! No shell, a bare environment, a session without a terminal; limits on time and output, after which
//! the process group is killed. Arguments may hold secrets and appear in no message.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, setsid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::reason::reason;
use super::user::User;

/// The most that is read of each of a program's outputs, in bytes.
const MOST: u64 = 4096;

/// The search path for programs when the environment has none.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The name of our process until it becomes the program.
const LEADER: &str = "homing-program";

/// The same of a program whose input is what our process has as its output: its own input is taken.
const READER: &str = "homing-reader";

/// The path to this program, once it has said that it can be started as a leader.
static OWN_PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Becomes the user's program, if this process was started for that by `command`, in a session without
/// a terminal: from root's own session it could type into root's shell (TIOCSTI).
///
/// Returns only if that failed, or `None` if this process is Homing itself. Only a process that
/// leads no group can make its session, and only for itself.
pub fn become_program(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let is_reader = cfg!(feature = "pages") && name == READER;
    if name != LEADER && !is_reader {
        let _ = OWN_PROGRAM.set(own_program(name));
        return None;
    }
    // The start of the program closes it: then the waiting process knows that the program runs.
    let told = io::stdin().as_fd().try_clone_to_owned();
    let error = setsid()
        .map_err(io::Error::from)
        .and_then(|_| input(is_reader))
        .map_or_else(|error| error, |input| become_it(arguments, input));
    if let Ok(told) = told {
        let code = error.raw_os_error().unwrap_or_default();
        let _ = std::fs::File::from(told).write_all(&code.to_ne_bytes());
    }
    Some(ExitCode::FAILURE)
}

/// The input of the program to become.
fn input(is_reader: bool) -> io::Result<Option<OwnedFd>> {
    is_reader.then(|| io::stdout().as_fd().try_clone_to_owned()).transpose()
}

/// Starts the program that `arguments` name after the user and the group, with `input` if it has any, or
/// says why not.
fn become_it(mut arguments: impl Iterator<Item = OsString>, input: Option<OwnedFd>) -> io::Error {
    let mut number =
        || arguments.next().as_deref().and_then(OsStr::to_str).and_then(|n| n.parse().ok());
    let user: [Option<u32>; 2] = [number(), number()];
    let mut command = std::process::Command::new(arguments.next().unwrap_or_default());
    command.args(arguments).stdin(Stdio::null());
    if let Some(input) = input {
        command.stdin(input).stdout(Stdio::null());
    }
    if let [Some(uid), Some(gid)] = user {
        // With its number, root gives up all further groups, too.
        command.uid(uid).gid(gid);
    }
    command.exec()
}

/// The path to this program, even if its file was replaced since its start; `name` is argument 0.
fn own_program(name: OsString) -> PathBuf {
    const OF_LINUX: &str = "/proc/self/exe";
    match std::env::current_exe() {
        Ok(_) if cfg!(target_os = "linux") => OF_LINUX.into(),
        Ok(path) => path,
        Err(_) => name.into(),
    }
}

/// The reason why the program named first in `arguments` cannot be run, as far as its file shows.
pub fn obstacle(arguments: &[String]) -> Option<String> {
    let program = arguments.first()?;
    let (mut is_there, mut may_run) = (false, false);
    let mut look = |path: &std::path::Path| {
        let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
        is_there |= found.is_some();
        may_run |= found.is_some_and(|file| file.permissions().mode() & 0o111 != 0);
    };
    if program.contains('/') {
        look(program.as_ref());
    } else {
        std::env::split_paths(&path()).for_each(|directory| look(&directory.join(program)));
    }
    match (may_run, is_there) {
        (true, _) => None,
        (false, true) => Some(format!("{program} is not executable; run `chmod +x {program}`")),
        (false, false) => Some(format!(
            "{program} does not exist; write the whole path of a \
            program"
        )),
    }
}

/// The search path for programs.
fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| OsString::from(PATH))
}

/// The first line that a program printed; `program` is its arguments, name first, and its user.
///
/// It runs as its user, if one is given, and finds `PATH` and `variables` in its environment, and
/// nothing else. The error begins with its name: it cannot be run, is not done within `limit`, prints
/// too much, or fails.
pub async fn first_line(
    program: (&[String], Option<User>),
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<String, String> {
    let printed = run(program, variables, limit, Stdio::piped).await?;
    Ok(line(&printed))
}

/// Runs a program to its end and throws away what it prints; errors as with [`first_line`].
///
/// Processes that it leaves in the background go on, unless the time is over.
pub async fn to_its_end(
    program: (&[String], Option<User>),
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<(), String> {
    run(program, variables, limit, Stdio::null).await.map(drop)
}

/// Runs a program to its end, with `input` as its input, which is at most 4096 bytes long, and throws away
/// what it prints; errors as with [`first_line`], with the first line of its complaint.
#[cfg(feature = "pages")]
pub async fn fed(
    program: (&[String], Option<User>),
    input: &str,
    limit: Duration,
) -> Result<(), String> {
    let (program, mut command) = command(program, &[])?;
    let named = |what: String| format!("{program} {what}");
    let (reader, mut writer) = io::pipe().map_err(|error| named(cannot_run(&error)))?;
    // A pipe holds so much (PIPE_BUF, pipe(7)), so nobody has to be waited for.
    let written = writer.write_all(input.as_bytes());
    written.map_err(|error| named(cannot_run(&error)))?;
    drop(writer);
    let spawned = if OWN_PROGRAM.get().is_some() {
        command.arg0(READER).stdout(reader).stderr(Stdio::piped());
        spawned(command)
    } else {
        command.stdin(reader).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map(|child| (child, Start(None)))
    };
    let (child, start) = spawned.map_err(|error| named(cannot_run(&error)))?;
    within(limit, follow(child, start)).await.map(drop).map_err(named)
}

/// The output of a program that ended well, if `output` captures it.
async fn run(
    program: (&[String], Option<User>),
    variables: &[(&str, String)],
    limit: Duration,
    output: fn() -> Stdio,
) -> Result<Vec<u8>, String> {
    let (program, mut command) = command(program, variables)?;
    let named = |what: String| format!("{program} {what}");
    command.stdout(output()).stderr(output());
    let (child, start) = spawned(command).map_err(|error| named(cannot_run(&error)))?;
    within(limit, follow(child, start)).await.map_err(named)
}

/// What `followed` brings, if it does so within `limit`.
async fn within(
    limit: Duration,
    followed: impl Future<Output = Result<Vec<u8>, String>>,
) -> Result<Vec<u8>, String> {
    tokio::time::timeout(limit, followed).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(limit);
        Err(format!("was not done within {limit} and was killed"))
    })
}

/// The program's name, and the command that starts it.
fn command<'a>(
    (arguments, user): (&'a [String], Option<User>),
    variables: &[(&str, String)],
) -> Result<(&'a str, Command), String> {
    let (program, rest) = arguments.split_first().ok_or("the command is empty")?;
    let mut command = match OWN_PROGRAM.get() {
        Some(own) => {
            let mut command = Command::new(own);
            command.arg0(LEADER);
            let number = |of: fn(User) -> u32| {
                user.map_or_else(|| "-".to_owned(), |user| of(user).to_string())
            };
            command.args([number(|user| user.uid), number(|user| user.gid)]).arg(program);
            command
        }
        // Another program that uses this library.
        None => {
            let mut command = Command::new(program);
            command.process_group(0);
            if let Some(User { uid, gid }) = user {
                command.uid(uid).gid(gid);
            }
            command
        }
    };
    command
        .args(rest)
        .env_clear()
        .env("PATH", path())
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .kill_on_drop(true);
    Ok((program, command))
}

/// Spawns `command`, with the pipe that shows whether it has become the program.
fn spawned(mut command: Command) -> io::Result<(Child, Start)> {
    if OWN_PROGRAM.get().is_none() {
        return Ok((command.stdin(Stdio::null()).spawn()?, Start(None)));
    }
    let (reader, writer) = io::pipe()?;
    let child = command.stdin(writer).spawn()?;
    // The command has the other end of the pipe, which has to be closed.
    drop(command);
    Ok((child, Start(Some(reader))))
}

/// The pipe that shows whether our process has become the program; `None` without such a process.
struct Start(Option<PipeReader>);

impl Start {
    /// Waits until the program runs; the error says why it cannot.
    async fn heard(self) -> io::Result<()> {
        let Some(reader) = self.0 else { return Ok(()) };
        let mut code = [0; 4];
        let mut pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        match pipe.read_exact(&mut code).await {
            Ok(_) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(code))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn cannot_run(error: &io::Error) -> String {
    format!("cannot be run: {}", reason(error))
}

/// The output of `child`, which ended well; the error follows its name. When the future is dropped, the
/// process group is killed.
async fn follow(mut child: Child, start: Start) -> Result<Vec<u8>, String> {
    let lost = |error: io::Error| format!("cannot be followed: {}", reason(&error));
    let mut group = Group::of(&child);
    start.heard().await.map_err(|error| cannot_run(&error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let printed = async {
        let text = beginning(stdout).await.map_err(lost)?;
        match text.len() as u64 {
            0..=MOST => Ok(text),
            _ => Err(format!("prints more than {MOST} bytes")),
        }
    };
    let complaint = async { drained(stderr).await.map_err(lost) };
    let (printed, complaint) = tokio::try_join!(printed, complaint)?;
    // The wait comes last, so that the group's number belongs to no other group while it may be killed.
    let status = child.wait().await.map_err(lost)?;
    group.0 = None;
    if status.success() {
        return Ok(printed);
    }
    let complaint = line(&complaint);
    let complaint = if complaint.is_empty() { complaint } else { format!(": {complaint:?}") };
    Err(format!("failed ({status}){complaint}"))
}

/// The beginning of `output`; one byte more than [`MOST`] means that it is too long.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(output) = output {
        output.take(MOST + 1).read_to_end(&mut text).await?;
    }
    Ok(text)
}

/// The beginning of `output`, which is read to its end: a full pipe would stop the program.
async fn drained(mut output: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let text = beginning(output.as_mut()).await?;
    if let Some(output) = &mut output {
        tokio::io::copy(output, &mut tokio::io::sink()).await?;
    }
    Ok(text)
}

/// The first line of `text` without white space around it.
fn line(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line.trim_ascii()).into_owned()
}

/// The process group of a program; killed when dropped, unless the program has ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It is no error if the group is gone already.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
