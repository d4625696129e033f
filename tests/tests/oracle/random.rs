//! Every KPI of the catalogue on random companies, engine against oracle.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::compare::{Case, definitions, differences, request, shown_segments, suitable_segments};
use super::evaluate::Question;
use super::generate::worlds;
use super::world::{World, day};

fn runner(seed: u8) -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

fn random_world(seed: u8) -> World {
    worlds().new_tree(&mut runner(seed)).unwrap().current()
}

#[test]
fn explore() {
    let started = std::time::Instant::now();
    let definitions = definitions();
    let mut world = random_world(1);
    println!("rows {:?}", world.tables.iter().map(|(n, r)| (*n, r.len())).collect::<Vec<_>>());
    world.tables.retain(|_, rows| !rows.is_empty());
    let case = Case::new(&world);
    println!("lake {:?}", started.elapsed());
    let (from, to) = (day("2023-01-01"), day("2024-07-01"));
    let mut bad = 0;
    for (place, (id, definition)) in definitions.iter().enumerate() {
        let segments = suitable_segments(&definitions, id);
        let mut questions: Vec<Vec<&str>> = vec![vec![]];
        if !segments.is_empty() {
            questions.push(vec![segments[place % segments.len()]]);
        }
        for by in questions {
            let frames = match case.engine.run(&[request(id, &by, &[], from, to)]) {
                Ok(frames) => frames,
                Err(error) => {
                    println!("{id} by {by:?}: ERROR {error}");
                    bad += 1;
                    continue;
                }
            };
            let shown = shown_segments(definition, &by);
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            let question = Question::new(&case.facts, &definitions, &shown, &[]);
            let differences = differences(&question, id, &frames[0], from, to);
            if !differences.is_empty() {
                bad += 1;
                println!("{id} by {by:?}: {} differences, first {}", differences.len(), differences[0]);
            }
        }
    }
    println!("{bad} bad; {:?}", started.elapsed());
}
