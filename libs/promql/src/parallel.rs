//! Other threads that help a query.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::QueryError;

/// Threads of the caller's that a query may use besides its own. The engine itself starts none.
pub trait Workers: Send + Sync {
    /// How many other threads may help at a time; 0 for none.
    fn most(&self) -> usize;

    /// Has up to `helpers` other threads call `work` once each: soon, late or never. Does not block.
    fn help(&self, helpers: usize, work: &Arc<dyn Fn() + Send + Sync>);
}

/// Applies `f` to every item, in any order and on any of the threads, and returns the results in order. The calling thread does whatever no
/// other has begun, so it waits only for what is under way, and never for a thread that is not free.
pub(crate) fn map<I, O, F>(workers: &dyn Workers, items: Vec<I>, f: F) -> Result<Vec<O>, QueryError>
where
    I: Send + 'static,
    O: Send + 'static,
    F: Fn(I) -> O + Send + Sync + 'static,
{
    let helpers = workers.most().min(items.len().saturating_sub(1));
    if helpers == 0 {
        return Ok(items.into_iter().map(f).collect());
    }
    let shared = Arc::new(Shared::new(items));
    let work: Arc<dyn Fn() + Send + Sync> = {
        let shared = Arc::clone(&shared);
        Arc::new(move || shared.work(&f))
    };
    workers.help(helpers, &work);
    work();
    shared.wait()
}

/// The items, and what came of them.
struct Shared<I, O> {
    items: Vec<Mutex<Option<I>>>,
    /// The first that nobody has begun.
    next: AtomicUsize,
    results: Mutex<Results<O>>,
    all_done: Condvar,
}

struct Results<O> {
    done: usize,
    of: Vec<Option<O>>,
}

impl<I, O> Shared<I, O> {
    fn new(items: Vec<I>) -> Self {
        let results = Results { done: 0, of: items.iter().map(|_| None).collect() };
        let items = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
        Self { items, next: AtomicUsize::new(0), results: Mutex::new(results), all_done: Condvar::new() }
    }

    /// Does items until none is left.
    fn work(&self, f: &(impl Fn(I) -> O + ?Sized)) {
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = self.items.get(at) else { return };
            let Some(item) = item.lock().unwrap_or_else(PoisonError::into_inner).take() else { continue };
            let mut report = Report { shared: self, at, result: None };
            report.result = Some(f(item));
        }
    }

    fn wait(&self) -> Result<Vec<O>, QueryError> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        while results.done < self.items.len() {
            results = self.all_done.wait(results).unwrap_or_else(PoisonError::into_inner);
        }
        let all: Option<Vec<O>> = std::mem::take(&mut results.of).into_iter().collect();
        all.ok_or_else(|| QueryError::Storage("a thread that helped the query failed; the server's log says why".to_owned()))
    }
}

/// Reports an item as done when dropped, also by a panic: then without a result.
struct Report<'a, I, O> {
    shared: &'a Shared<I, O>,
    at: usize,
    result: Option<O>,
}

impl<I, O> Drop for Report<'_, I, O> {
    fn drop(&mut self) {
        let mut results = self.shared.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.done += 1;
        if let Some(slot) = results.of.get_mut(self.at) {
            *slot = self.result.take();
        }
        if results.done == self.shared.items.len() {
            self.shared.all_done.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests bring threads of their own")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Workers, map};

    /// Starts threads.
    struct Threads(usize);

    impl Workers for Threads {
        fn most(&self) -> usize {
            self.0
        }

        fn help(&self, helpers: usize, work: &Arc<dyn Fn() + Send + Sync>) {
            for _ in 0..helpers {
                let work = Arc::clone(work);
                std::thread::spawn(move || work());
            }
        }
    }

    /// Promises help that never comes.
    struct Nobody;

    impl Workers for Nobody {
        fn most(&self) -> usize {
            8
        }

        fn help(&self, _: usize, _: &Arc<dyn Fn() + Send + Sync>) {}
    }

    #[test]
    fn results_come_in_order_whoever_helps() {
        let wanted: Vec<usize> = (0..1_000).map(|n| n * n).collect();
        for workers in [&Threads(0) as &dyn Workers, &Threads(1), &Threads(7), &Nobody] {
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&calls);
            let squares = map(workers, (0..1_000).collect(), move |n: usize| {
                counted.fetch_add(1, Ordering::Relaxed);
                n * n
            });
            assert_eq!(squares.unwrap(), wanted);
            assert_eq!(calls.load(Ordering::Relaxed), 1_000);
        }
    }

    #[test]
    fn a_panic_of_a_helper_is_an_error_and_nobody_waits_forever() {
        let caller = std::thread::current().id();
        let met = std::sync::Barrier::new(2);
        let result = map(&Threads(1), vec![0, 1], move |n: usize| {
            // One on either thread.
            met.wait();
            assert!(std::thread::current().id() == caller, "the helper breaks");
            n
        });
        assert!(result.unwrap_err().to_string().contains("helped"));
    }
}
