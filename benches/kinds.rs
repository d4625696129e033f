//! How long KPIs of each kind take, by themselves and all of their kind in one plan, at two sizes of a lake.
//!
//! The definitions come from the catalogue, so a new KPI is measured without a line here. Every question is a first
//! one: what an earlier one left for the next is deleted before. `dealframe_benches` makes the lakes and questions.
#![expect(clippy::panic, reason = "a bench that cannot run has nobody else to tell")]

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use dealframe_benches::{BenchError, KINDS, Planning, forget_aggregates, make_lake, requests_of_kind};
use dealframe_query::Engine;
use dealframe_query::request::{Request, Settings};
use divan::Bencher;
use tempfile::TempDir;

/// The allocator of the command line.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SMALL: u64 = 10_000;
const LARGE: u64 = 200_000;

/// Where the lakes lie; removed at the end.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();
static SMALL_BED: LazyLock<Bed> = LazyLock::new(|| Bed::new(SMALL));
static LARGE_BED: LazyLock<Bed> = LazyLock::new(|| Bed::new(LARGE));

fn main() {
    let folder = must(TempDir::new().map_err(|source| BenchError::Io { path: std::env::temp_dir(), source }));
    FOLDER.get_or_init(|| folder.path().to_owned());
    divan::main();
}

/// A lake and an engine on it.
struct Bed {
    lake: PathBuf,
    engine: Engine,
}

impl Bed {
    fn new(deals: u64) -> Self {
        let folder = FOLDER.get().map_or_else(std::env::temp_dir, PathBuf::clone);
        let lake = must(make_lake(&folder, deals));
        let engine = open(&lake);
        Self { lake, engine }
    }

    fn of(deals: u64) -> &'static Self {
        if deals == SMALL { &SMALL_BED } else { &LARGE_BED }
    }

    /// Times one run over all requests.
    fn bench(&self, bencher: Bencher<'_, '_>, requests: &[Request]) {
        // The first run derives fact tables, which is no part of the question.
        must(self.engine.run(requests).map_err(BenchError::from));
        bencher
            .with_inputs(|| must(forget_aggregates(&self.lake)))
            .bench_values(|()| must(self.engine.run(requests).map_err(BenchError::from)));
    }
}

fn open(lake: &Path) -> Engine {
    must(Engine::open(lake, Settings::default()).map_err(BenchError::from))
}

fn must<T>(result: Result<T, BenchError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The first definition of the kind.
#[divan::bench(args = KINDS, consts = [SMALL, LARGE], sample_size = 1, max_time = 2)]
fn one<const DEALS: u64>(bencher: Bencher<'_, '_>, kind: &str) {
    let bed = Bed::of(DEALS);
    let requests = must(requests_of_kind(bed.engine.catalogue(), kind));
    bed.bench(bencher, &requests[..1]);
}

/// All definitions of the kind, in one shared plan.
#[divan::bench(args = KINDS, consts = [SMALL, LARGE], sample_size = 1, max_time = 2)]
fn all<const DEALS: u64>(bencher: Bencher<'_, '_>, kind: &str) {
    let bed = Bed::of(DEALS);
    let requests = must(requests_of_kind(bed.engine.catalogue(), kind));
    bed.bench(bencher, &requests);
}

/// Opening a lake: its log, its tables, the newest business date.
#[divan::bench(consts = [SMALL, LARGE], sample_size = 1, max_time = 2)]
fn opening<const DEALS: u64>(bencher: Bencher<'_, '_>) {
    let lake = &Bed::of(DEALS).lake;
    bencher.bench(|| open(lake));
}

/// Planning a report of 80 KPIs × 4 grains × 20 segment sets, without reading.
#[divan::bench(sample_size = 1, max_time = 2)]
fn planning(bencher: Bencher<'_, '_>) {
    let planning = must(Planning::new(&Bed::of(SMALL).lake));
    bencher.bench(|| must(planning.plan()));
}
