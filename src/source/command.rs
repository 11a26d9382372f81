//! A program that prints our address on its first line.

use std::net::IpAddr;
use std::time::Duration;

use crate::core::address::Family;
use crate::core::address::told::address_of;
use crate::os::program::first_line;
use crate::os::user::User;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The address of `family` that a program prints on its first line; the error names the program.
///
/// The program runs as the user in `program`, and finds `ipv4` or `ipv6` in `HOMING_FAMILY`.
pub async fn seen(program: (&[String], Option<User>), family: Family) -> Result<IpAddr, String> {
    seen_within(program, family, LIMIT).await
}

async fn seen_within(
    (arguments, user): (&[String], Option<User>),
    family: Family,
    limit: Duration,
) -> Result<IpAddr, String> {
    let variables = [("HOMING_FAMILY", family.key().to_owned())];
    let printed = first_line((arguments, user), &variables, limit).await?;
    let program = arguments.first().map(String::as_str).unwrap_or_default();
    if printed.is_empty() {
        return Err(format!("{program} printed nothing on its first line"));
    }
    address_of(&printed, family).map_err(|instead| format!("{program} printed {instead}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    async fn shell(script: &str) -> Result<IpAddr, String> {
        let arguments = ["sh", "-c", script].map(str::to_owned);
        seen_within((&arguments, None), Family::V4, Duration::from_secs(20)).await
    }

    #[track_caller]
    fn refused(seen: &Result<IpAddr, String>, expect: &str) {
        assert_eq!(seen.as_ref().map_err(String::as_str), Err(expect));
    }

    #[tokio::test]
    async fn the_first_line_is_the_address() {
        let seen = shell("echo ' 192.0.2.1'; echo rest; echo noise >&2").await;
        assert_eq!(seen, Ok("192.0.2.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn the_environment_is_bare() {
        let names =
            "env | cut -d= -f1 | grep -v -x -e _ -e PWD -e OLDPWD -e SHLVL | sort | tr '\\n' ,";
        refused(&shell(names).await, "sh printed \"HOMING_FAMILY,PATH,\", which is not an address");
        refused(
            &shell("echo $HOMING_FAMILY").await,
            "sh printed \"ipv4\", which is not an address",
        );
    }

    #[tokio::test]
    async fn what_is_no_address_of_the_family_is_refused() {
        refused(
            &shell("echo 2001:db8::1").await,
            "sh printed 2001:db8::1, which is not an IPv4 address",
        );
        refused(&shell("true").await, "sh printed nothing on its first line");
    }

    #[tokio::test]
    async fn failure_is_told_with_the_first_complaint_and_without_arguments() {
        let failed = shell("echo 192.0.2.1; echo 'no such modem' >&2; echo b >&2; exit 3").await;
        refused(&failed, "sh failed (exit status: 3): \"no such modem\"");
        let killed = shell("kill -9 $$").await;
        refused(&killed, "sh failed (signal: 9 (SIGKILL))");
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let missing = ["/nonexistent/program".to_owned(), "secret".to_owned()];
        let error = seen((&missing, None), Family::V6).await.unwrap_err();
        assert!(error.starts_with("/nonexistent/program cannot be run: No such file"), "{error}");
        assert_eq!(seen((&[], None), Family::V6).await, Err("the command is empty".to_owned()));
    }

    #[tokio::test]
    async fn endless_output_ends_at_once() {
        refused(&shell("exec yes 192.0.2.1").await, "sh prints more than 4096 bytes");
    }

    #[tokio::test]
    async fn many_complaints_do_not_stop_a_program() {
        let seen = shell("yes | head -c 300000 >&2; echo 192.0.2.1").await;
        assert_eq!(seen, Ok("192.0.2.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_named() {
        let arguments = ["sleep", "60"].map(str::to_owned);
        let seen = seen_within((&arguments, None), Family::V4, Duration::from_millis(30)).await;
        refused(&seen, "sleep was not done within 30ms and was killed");
    }

    #[tokio::test]
    async fn the_whole_group_is_killed_with_the_program() {
        // The program tells the number of a process that it started itself.
        let file = std::env::temp_dir().join(format!("homing-group-{}", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let inner = async {
            loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if text.ends_with('\n') {
                    break text;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        let inner = tokio::select! {
            inner = inner => inner,
            seen = shell(&script) => panic!("it ended by itself: {seen:?}"),
        };
        std::fs::remove_file(&file).unwrap();
        let began = Instant::now();
        while is_running(inner.trim()) {
            assert!(began.elapsed() < Duration::from_secs(10), "{inner} is still there");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A killed process that nobody has reaped yet is a zombie, not running.
    fn is_running(pid: &str) -> bool {
        let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }
}
