//! Questions that come while others are being asked are asked together, in one statement.

use std::future::Future;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

/// The number of statements that are on their way at once: while one is answered, the next one fills.
const STATEMENTS: usize = 2;

/// The number of questions that one statement asks at most.
const QUESTIONS: usize = 512;

/// The questions that wait for the next statement.
///
/// There is no task behind it: one of those who wait asks for all in line.
pub(super) struct Together<Q, A> {
    line: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    turns: Semaphore,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self { line: Mutex::default(), turns: Semaphore::new(STATEMENTS) }
    }
}

impl<Q: Clone, A> Together<Q, A> {
    /// Asks a question, together with those in line. `all` returns the answers to several questions in their order.
    ///
    /// The statement that asks it begins after this call.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe. If the caller asks for others too, they ask again.
    pub(super) async fn ask<F>(&self, question: Q, all: impl Fn(Vec<Q>) -> F) -> A
    where
        F: Future<Output = Vec<A>>,
    {
        loop {
            let (reply, mut answer) = oneshot::channel();
            self.line.lock().push((question.clone(), reply));
            let turn = tokio::select! {
                biased;
                answered = &mut answer => Err(answered),
                turn = self.turns.acquire() => Ok(turn),
            };
            let answered = match turn {
                Err(answered) => answered,
                Ok(turn) => {
                    self.ask_those_in_line(&all).await;
                    drop(turn);
                    // Another statement may have taken this question before this one began.
                    answer.await
                }
            };
            // Otherwise the one who asked for this caller was dropped.
            if let Ok(answer) = answered {
                return answer;
            }
        }
    }

    async fn ask_those_in_line<F>(&self, all: impl Fn(Vec<Q>) -> F)
    where
        F: Future<Output = Vec<A>>,
    {
        let (questions, replies): (Vec<_>, Vec<_>) = {
            let mut line = self.line.lock();
            line.retain(|(_, reply)| !reply.is_closed());
            let count = line.len().min(QUESTIONS);
            line.drain(..count).unzip()
        };
        if questions.is_empty() {
            return;
        }
        for (reply, answer) in replies.into_iter().zip(all(questions).await) {
            let _dropped_meanwhile = reply.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    /// Doubles numbers, slowly, and notes how many were asked at once.
    #[derive(Clone, Default)]
    struct Doubles {
        together: Arc<Together<u32, u32>>,
        statements: Arc<Mutex<Vec<usize>>>,
    }

    impl Doubles {
        async fn of(&self, number: u32) -> u32 {
            let all = |numbers: Vec<u32>| async move {
                self.statements.lock().push(numbers.len());
                sleep(Duration::from_millis(10)).await;
                numbers.into_iter().map(|number| number * 2).collect()
            };
            self.together.ask(number, all).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_asked_for_together_and_get_their_own_answers() {
        let doubles = Doubles::default();
        let asked: Vec<_> = (0..1_200)
            .map(|number| {
                let doubles = doubles.clone();
                tokio::spawn(async move { (number, doubles.of(number).await) })
            })
            .collect();
        for asked in asked {
            let (number, double) = asked.await.unwrap();
            assert_eq!(double, number * 2);
        }
        assert_eq!(*doubles.statements.lock(), [1, 1, 512, 512, 174]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_is_dropped_while_asking_for_others_leaves_nobody_without_an_answer() {
        let doubles = Doubles::default();
        for round in 0..50 {
            let asked: Vec<_> = (0..40)
                .map(|number| {
                    let doubles = doubles.clone();
                    tokio::spawn(async move { doubles.of(number).await })
                })
                .collect();
            // Some are dropped in line, some while they ask for themselves or for others.
            sleep(Duration::from_millis(round % 25)).await;
            let (dropped, kept): (Vec<_>, Vec<_>) =
                asked.into_iter().enumerate().partition(|(number, _)| number % 3 == 0);
            for (_, asked) in dropped {
                asked.abort();
            }
            for (number, asked) in kept {
                let double = tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap();
                assert_eq!(double as usize, number * 2);
            }
        }
        assert_eq!(doubles.together.turns.available_permits(), STATEMENTS);
    }
}
