//! Ctrl-C and its kin: what runs is ended, and then everything is put away as at any other end.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// Hears the signals that ask for an end.
pub struct Interrupts {
    state: Arc<Mutex<State>>,
    first: Receiver<i32>,
}

#[derive(Default)]
struct State {
    child: Option<Pid>,
    signal: Option<i32>,
}

impl Interrupts {
    /// Listens from here on.
    pub fn listen() -> Result<Self, String> {
        let mut signals =
            Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(|error| format!("cannot listen to signals: {error}"))?;
        let state = Arc::<Mutex<State>>::default();
        let (sender, first) = channel();
        let heard = Arc::clone(&state);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                hear(&heard, signal, &sender);
            }
        });
        Ok(Self { state, first })
    }

    /// Waits for a signal, and answers with the exit code it stands for.
    pub fn wait(&self) -> u8 {
        self.first.recv().map_or(1, |signal| code(SIGNALLED + signal))
    }

    /// Runs a command to its end, which a signal brings about earlier, and answers with its exit code.
    pub fn run(&self, command: &mut Command) -> Result<u8, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signal) = state.signal {
            return Ok(code(SIGNALLED + signal));
        }
        let mut child = command.spawn().map_err(|error| format!("cannot run `{name}`: {error}"))?;
        state.child = Some(Pid::from_child(&child));
        drop(state);
        let status = child.wait().map_err(|error| format!("cannot wait for `{name}`: {error}"));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.child = None;
        Ok(state.signal.map_or(exit_code(status?), |signal| code(SIGNALLED + signal)))
    }
}

fn hear(state: &Mutex<State>, signal: i32, sender: &Sender<i32>) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.signal.replace(signal).is_some() {
        // Somebody is in a hurry. The server's watchdog sees our end and does the rest.
        std::process::exit(SIGNALLED + signal);
    }
    if let Some(child) = state.child {
        end(child);
    }
    let _ = sender.send(signal);
}

/// Asks a command and what it started to end: `cargo test` does not tell its tests.
fn end(child: Pid) {
    let parent = child.as_raw_nonzero().to_string();
    let _ = Command::new("pkill").args(["-TERM", "-P", &parent]).stderr(Stdio::null()).status();
    let _ = kill_process(child, Signal::TERM);
}

fn exit_code(status: ExitStatus) -> u8 {
    code(status.code().or_else(|| Some(SIGNALLED + status.signal()?)).unwrap_or(1))
}

fn code(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str) -> u8 {
        exit_code(Command::new("sh").args(["-c", script]).status().unwrap())
    }

    #[test]
    fn the_exit_code_is_the_one_of_the_command() {
        assert_eq!((of("exit 0"), of("exit 101"), of("kill -9 $$")), (0, 101, 137));
    }

    #[test]
    fn after_a_signal_nothing_is_begun() {
        let (sender, first) = channel();
        let interrupts = Interrupts { state: Arc::default(), first };
        hear(&interrupts.state, SIGTERM, &sender);
        assert_eq!(interrupts.run(&mut Command::new("a program that is not there")), Ok(143));
        assert_eq!(interrupts.wait(), 143);
    }
}
