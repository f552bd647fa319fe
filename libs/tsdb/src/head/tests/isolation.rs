use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// While two threads append three samples per series and push, and one collects, readers see whole threes, ascending.
#[test]
fn readers_see_whole_pushes_of_a_series() {
    let head = head();
    let stop = AtomicBool::new(false);
    let series: Vec<_> = (0..50).map(|i| labels(&[("__name__", "m"), ("i", &i.to_string())])).collect();
    let write = |part: &[Labels]| {
        for round in 0..400 {
            let t = T0 + round * 3;
            let samples = [(t, 1.0), (t + 1, 2.0), (t + 2, 3.0)];
            let all: Vec<_> = part.iter().map(|l| (l.clone(), samples.as_slice())).collect();
            let out = push(&head, &batch(&all));
            assert_eq!(out.samples, 3 * part.len() as u64);
        }
    };
    let read = || {
        let mut seen = 0;
        loop {
            // Once more after the end, so that every reader has seen something.
            let last = stop.load(Ordering::Relaxed);
            for series in head.select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap() {
                let points = points(&series);
                assert_eq!(points.len() % 3, 0);
                seen += points.len();
            }
            assert_eq!(head.truncate(T0 - 1).series, 0);
            if last {
                return seen;
            }
        }
    };
    let seen = std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        let writers = [&series[..25], &series[25..]].map(|part| scope.spawn(move || write(part)));
        writers.into_iter().for_each(|w| w.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().map(|r| r.join().unwrap()).sum::<usize>()
    });
    assert!(seen > 0);
    assert_eq!(floats(&head).iter().map(|(_, s)| s.len()).sum::<usize>(), 50 * 1200);
}

/// Two threads make the same series at once, while a third collects old ones.
#[test]
fn series_are_made_once() {
    let head = head();
    let series: Vec<_> = (0..2000).map(|i| labels(&[("__name__", "m"), ("i", &i.to_string())])).collect();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (head, series) = (&head, &series);
            scope.spawn(move || {
                for part in series.chunks(100) {
                    let all: Vec<_> = part.iter().map(|l| (l.clone(), [(T0, 1.0)])).collect();
                    let all: Vec<_> = all.iter().map(|(l, s)| (l.clone(), s.as_slice())).collect();
                    let out = push(head, &batch(&all));
                    assert_eq!(out.samples + out.duplicates, part.len() as u64, "thread {thread}");
                }
            });
        }
        scope.spawn(|| (0..50).for_each(|_| assert_eq!(head.truncate(T0).series, 0)));
    });
    assert_eq!((head.series_count(), head.stats().created_total), (2000, 2000));
    assert_eq!(floats(&head).len(), 2000);
    assert_eq!(head.label_values("i", &[Matcher::equal("__name__", "m")], T0, T0, usize::MAX).len(), 2000);
}

/// The same for pushes in any order, so that most are late, while chunks are sealed.
#[test]
fn readers_see_whole_late_pushes_of_a_series() {
    const ROUNDS: i64 = 601;
    let head = head();
    let stop = AtomicBool::new(false);
    let series: Vec<_> = (0..20).map(|i| labels(&[("__name__", "m"), ("i", &i.to_string())])).collect();
    let write = |part: &[Labels]| {
        for round in 0..ROUNDS {
            let t = T0 + round * 229 % ROUNDS * 3;
            let samples = [(t, 1.0), (t + 1, 2.0), (t + 2, 3.0)];
            let all: Vec<_> = part.iter().map(|l| (l.clone(), samples.as_slice())).collect();
            assert_eq!(push(&head, &batch(&all)).samples, 3 * part.len() as u64);
        }
    };
    let read = || {
        loop {
            let last = stop.load(Ordering::Relaxed);
            for series in head.select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap() {
                let times: Vec<i64> = points(&series).iter().map(|p| p.t() - T0).collect();
                assert!(times.chunks(3).all(|three| three.len() == 3 && three[0] % 3 == 0 && three[2] == three[0] + 2), "{times:?}");
            }
            head.seal(T0 + ROUNDS);
            if last {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        let writers = [&series[..10], &series[10..]].map(|part| scope.spawn(move || write(part)));
        writers.into_iter().for_each(|w| w.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|r| r.join().unwrap());
    });
    assert!(floats(&head).iter().all(|(_, samples)| samples.len() == 3 * ROUNDS as usize));
    assert!(head.stats().out_of_order_total > 0);
}
