use proptest::prelude::*;

use super::*;

fn file_bytes() -> (Vec<u8>, Vec<(u32, u128)>) {
    let fs = FaultyFs::new();
    let chunks = open(&fs);
    let places = write(&chunks, 1..30).into_iter().map(|(_, at, n)| (at, n)).collect();
    (fs.edit(&Path::new(DIR).join("000001"), |bytes| bytes.clone()), places)
}

fn with(bytes: Vec<u8>) -> HeadChunks {
    let fs = FaultyFs::new();
    fs.edit(&Path::new(DIR).join("000001"), |file| *file = bytes);
    open(&fs)
}

#[test]
fn every_flipped_bit_is_found() {
    let (bytes, places) = file_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let Ok(file) = with(damaged).file(1) else {
            assert!(at < 20);
            continue;
        };
        let errors: Vec<_> = places.iter().filter_map(|(at, n)| file.read(*at, &key(*n)).err()).collect();
        assert_eq!(errors.len(), 1, "byte {at}");
        assert!(errors[0].is_damage() && errors[0].to_string().contains("/chunks_head/000001 is damaged at byte"), "{}", errors[0]);
    }
}

#[test]
fn a_place_gives_only_the_chunk_that_it_is_asked_for() {
    let (bytes, places) = file_bytes();
    let file = with(bytes).file(1).unwrap();
    for (at, n) in &places {
        for other in (1..30).filter(|other| other != n) {
            assert!(file.read(*at, &key(other)).is_err());
        }
        let wrong = [
            ChunkKey { encoding: ChunkEncoding::Histogram, ..key(*n) },
            ChunkKey { min_t: 0, ..key(*n) },
            ChunkKey { max_t: 0, ..key(*n) },
        ];
        assert!(wrong.iter().all(|key| file.read(*at, key).is_err()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_and_wild_places_never_panic_and_never_give_other_data(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
        tail in prop::collection::vec(any::<u8>(), 0..50),
        places in prop::collection::vec(any::<u32>(), 0..20),
    ) {
        let (mut bytes, good) = file_bytes();
        let whole = bytes.clone();
        edits.iter().for_each(|(at, value)| { let at = at.index(bytes.len()); bytes[at] = *value });
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes.extend(tail);
        if let Ok(file) = with(bytes).file(1) {
            for at in places.iter().map(|at| at % (whole.len() as u32 + 100)).chain(places.iter().copied()) {
                for n in 1..30 {
                    if let Ok(read) = file.read(at, &key(n)) {
                        prop_assert!(read == data(n) && good.contains(&(at, n)));
                    }
                }
            }
            for (at, n) in good {
                prop_assert!(file.read(at, &key(n)).map_or(true, |read| read == data(n)));
            }
        }
    }
}
