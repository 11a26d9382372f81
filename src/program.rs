//! Running the user's programs: the ones that print an address and the ones that are told of a change.
//!
//! An argument list, no shell; a bare environment; limits on time and output, after which the whole
//! process group is killed. Arguments may hold secrets and stand in no message.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::disk::User;
use crate::reason::reason;

/// The most that is read of each of a program's outputs, in bytes.
const MOST: u64 = 4096;

/// Where programs are looked for when the environment does not say.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What the program named first in `arguments` printed on its first line.
///
/// It runs as `user`, where one is given, and finds `PATH` and `variables` in its environment, and nothing else. The error begins with its
/// name: it cannot be run, is not done within `limit`, prints too much, or fails.
pub async fn first_line(
    (arguments, user): (&[String], Option<User>),
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<String, String> {
    let (program, mut command) = command((arguments, user), variables)?;
    let named = |what: String| format!("{program} {what}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| named(cannot_run(&error)))?;
    let Ok(run) = tokio::time::timeout(limit, run(child)).await else {
        return Err(named(too_long(limit)));
    };
    let Run { status, printed, complaint } = run.map_err(named)?;
    if status.success() {
        return Ok(line(&printed));
    }
    let complaint = line(&complaint);
    let complaint = if complaint.is_empty() { complaint } else { format!(": {complaint:?}") };
    Err(named(format!("failed ({status}){complaint}")))
}

/// Runs a program to its end and throws away what it prints; errors as with [`first_line`].
///
/// What it leaves running in the background goes on, unless the time is over.
pub async fn to_its_end(
    (arguments, user): (&[String], Option<User>),
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<(), String> {
    let (program, mut command) = command((arguments, user), variables)?;
    let named = |what: String| format!("{program} {what}");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| named(cannot_run(&error)))?;
    let mut group = Group::of(&child);
    let Ok(ended) = tokio::time::timeout(limit, child.wait()).await else {
        return Err(named(too_long(limit)));
    };
    group.0 = None;
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(named(format!("failed ({status})"))),
        Err(error) => Err(named(format!("cannot be followed: {}", reason(&error)))),
    }
}

/// The program's name, and the command with its bare environment in a process group of its own.
fn command<'a>(
    (arguments, user): (&'a [String], Option<User>),
    variables: &[(&str, String)],
) -> Result<(&'a str, Command), String> {
    let (program, rest) = arguments.split_first().ok_or("the command is empty")?;
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(PATH));
    let mut command = Command::new(program);
    command
        .args(rest)
        .env_clear()
        .env("PATH", path)
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(User { uid, gid }) = user {
        // What root gives up with its number are all further groups, too.
        command.uid(uid).gid(gid);
    }
    Ok((program, command))
}

fn cannot_run(error: &io::Error) -> String {
    format!("cannot be run: {}", reason(error))
}

fn too_long(limit: Duration) -> String {
    format!("was not done within {} and was killed", humantime::format_duration(limit))
}

/// How a program ended, and what it wrote until then.
struct Run {
    status: ExitStatus,
    printed: Vec<u8>,
    complaint: Vec<u8>,
}

/// Follows `child` to its end; the error says what went wrong, in words that follow its name.
///
/// Dropping the future kills the process group.
async fn run(mut child: Child) -> Result<Run, String> {
    let lost = |error: io::Error| format!("cannot be followed: {}", reason(&error));
    let mut group = Group::of(&child);
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
    // Only now, so that the group's number cannot belong to another one while it may be killed.
    let status = child.wait().await.map_err(lost)?;
    group.0 = None;
    Ok(Run { status, printed, complaint })
}

/// What `output` begins with; one byte more than [`MOST`] tells that it is too long.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(output) = output {
        output.take(MOST + 1).read_to_end(&mut text).await?;
    }
    Ok(text)
}

/// What `output` begins with, once it has been read to its end: a full pipe would stop the program.
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
            // A group that is gone already is what we want.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
