//! Values by period and segment combination.
//!
//! Results are dense as a rule: most combinations have something in most periods. So values lie
//! in a grid, found by two additions, as long as the grid is not much larger than its contents;
//! what is thinly spread (an account each, a few periods each) is kept in a hash map. Nothing
//! here knows what a value means; order of iteration is no promise.

use hashbrown::{HashMap, HashSet};

use super::Key;

/// Cells that a grid may always have, and per value beyond that.
const SMALL_GRID: u64 = 4_096;
const CELLS_PER_VALUE: u64 = 4;

/// A map from [`Key`]: what lies within the bounds of the grid is there, the rest in `beyond`.
#[derive(Debug, Clone)]
pub(crate) struct Points<T> {
    bounds: Bounds,
    /// Row after row a period, in it a cell per combination.
    cells: Vec<Option<T>>,
    beyond: HashMap<Key, T>,
}

/// First and last period, and combinations from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    first: i32,
    last: i32,
    width: u32,
}

impl Bounds {
    const NONE: Self = Self { first: i32::MAX, last: i32::MIN, width: 0 };

    pub(crate) fn of(keys: impl Iterator<Item = Key>) -> Self {
        keys.fold(Self::NONE, |bounds, (period, combination)| Self {
            first: bounds.first.min(period),
            last: bounds.last.max(period),
            width: bounds.width.max(combination.saturating_add(1)),
        })
    }

    fn around(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last), width: self.width.max(other.width) }
    }

    fn is_empty(self) -> bool {
        self.last < self.first
    }

    fn area(self) -> u64 {
        let periods = i64::from(self.last) - i64::from(self.first) + 1;
        u64::try_from(periods).unwrap_or(0).saturating_mul(u64::from(self.width))
    }

    fn place(self, (period, combination): Key) -> Option<usize> {
        let inside = period >= self.first && period <= self.last && combination < self.width;
        inside.then(|| self.place_inside((period, combination)))
    }

    fn place_inside(self, (period, combination): Key) -> usize {
        let row = (i64::from(period) - i64::from(self.first)).unsigned_abs();
        usize::try_from(row * u64::from(self.width) + u64::from(combination)).unwrap_or(usize::MAX)
    }

    fn key(self, place: usize) -> Key {
        let width = (self.width as usize).max(1);
        let row = i32::try_from(place / width).unwrap_or(i32::MAX);
        (self.first.saturating_add(row), u32::try_from(place % width).unwrap_or(u32::MAX))
    }

    /// Whether a grid of this size is worth its room for `values` values.
    fn suits_a_grid(self, values: usize) -> bool {
        self.area() <= (values as u64).saturating_mul(CELLS_PER_VALUE).max(SMALL_GRID)
    }
}

impl<T> Points<T> {
    pub(crate) fn new() -> Self {
        Self { bounds: Bounds::NONE, cells: Vec::new(), beyond: HashMap::new() }
    }

    /// Room for about `values` values within bounds.
    pub(crate) fn within(bounds: Bounds, values: usize) -> Self {
        match usize::try_from(bounds.area()) {
            Ok(area) if bounds.suits_a_grid(values) => {
                Self { bounds, cells: std::iter::repeat_with(|| None).take(area).collect(), beyond: HashMap::new() }
            }
            _ => Self { beyond: HashMap::with_capacity(values), ..Self::new() },
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&T> {
        match self.bounds.place(*key) {
            Some(place) => self.cells[place].as_ref(),
            None if self.beyond.is_empty() => None,
            None => self.beyond.get(key),
        }
    }

    pub(crate) fn contains_key(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn insert(&mut self, key: Key, value: T) {
        match self.bounds.place(key) {
            Some(place) => self.cells[place] = Some(value),
            None => {
                self.beyond.insert(key, value);
            }
        }
    }

    /// The value of a key, made by `new` where there is none.
    pub(crate) fn entry(&mut self, key: Key, new: impl FnOnce() -> T) -> &mut T {
        match self.bounds.place(key) {
            Some(place) => self.cells[place].get_or_insert_with(new),
            None => self.beyond.entry(key).or_insert_with(new),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let cells = self.cells.iter().enumerate();
        let cells = cells.filter_map(|(place, cell)| cell.as_ref().map(|value| (self.bounds.key(place), value)));
        cells.chain(self.beyond.iter().map(|(key, value)| (*key, value)))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.cells.iter_mut().flatten().chain(self.beyond.values_mut())
    }

    /// First and last period with a value.
    pub(crate) fn span(&self) -> Option<(i32, i32)> {
        self.keys().fold(None, |span, (period, _)| match span {
            None => Some((period, period)),
            Some((first, last)) => Some((period.min(first), period.max(last))),
        })
    }

    /// Combinations with a value, in order.
    pub(crate) fn combinations(&self) -> Vec<u32> {
        self.combinations_within(i32::MIN, i32::MAX)
    }

    /// Combinations with a value in a period from `first` to `last`, in order.
    pub(crate) fn combinations_within(&self, first: i32, last: i32) -> Vec<u32> {
        let is_within = |period: i32| period >= first && period <= last;
        let mut seen = vec![false; self.bounds.width as usize];
        for (period, row) in (self.bounds.first..).zip(self.cells.chunks(seen.len().max(1))) {
            if is_within(period) {
                seen.iter_mut().zip(row).for_each(|(seen, cell)| *seen |= cell.is_some());
            }
        }
        let beyond = self.beyond.keys().filter(|(period, _)| is_within(*period)).map(|(_, combination)| *combination);
        let mut combinations: Vec<u32> = beyond.collect();
        combinations.extend((0..).zip(seen).filter_map(|(combination, seen)| seen.then_some(combination)));
        combinations.sort_unstable();
        combinations.dedup();
        combinations
    }

    /// A value for every key that has one here.
    pub(crate) fn map<U>(&self, mut of: impl FnMut(Key, &T) -> U) -> Points<U> {
        Points {
            bounds: self.bounds,
            cells: (self.cells.iter().enumerate())
                .map(|(place, cell)| cell.as_ref().map(|value| of(self.bounds.key(place), value)))
                .collect(),
            beyond: self.beyond.iter().map(|(key, value)| (*key, of(*key, value))).collect(),
        }
    }

    /// The same values some periods later.
    pub(crate) fn later(mut self, periods: i32) -> Self {
        if !self.bounds.is_empty() {
            self.bounds.first += periods;
            self.bounds.last += periods;
        }
        let later = |((period, combination), value): (Key, T)| ((period + periods, combination), value);
        Self { beyond: self.beyond.into_iter().map(later).collect(), ..self }
    }

    /// A value for every key that has one in any of `parts`.
    pub(crate) fn joined<U>(parts: &[&Points<U>], mut of: impl FnMut(Key) -> T) -> Self {
        let bounds = parts.iter().fold(Bounds::NONE, |bounds, part| bounds.around(part.bounds));
        let keys: HashSet<Key> = parts.iter().flat_map(|part| part.beyond.keys().copied()).collect();
        if !keys.is_empty() || !bounds.suits_a_grid(parts.iter().map(|part| part.cells.len()).max().unwrap_or(0)) {
            let keys: HashSet<Key> = keys.into_iter().chain(parts.iter().flat_map(|part| part.keys())).collect();
            return keys.into_iter().map(|key| (key, of(key))).collect();
        }
        let area = usize::try_from(bounds.area()).unwrap_or(0);
        let cells = (0..area).map(|place| {
            let key = bounds.key(place);
            parts.iter().any(|part| part.contains_key(&key)).then(|| of(key))
        });
        Self { bounds, cells: cells.collect(), beyond: HashMap::new() }
    }
}

impl<T> FromIterator<(Key, T)> for Points<T> {
    fn from_iter<I: IntoIterator<Item = (Key, T)>>(values: I) -> Self {
        let values: Vec<(Key, T)> = values.into_iter().collect();
        let mut points = Self::within(Bounds::of(values.iter().map(|(key, _)| *key)), values.len());
        values.into_iter().for_each(|(key, value)| points.insert(key, value));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(points: &Points<i64>) -> Vec<(Key, i64)> {
        let mut all: Vec<(Key, i64)> = points.iter().map(|(key, value)| (key, *value)).collect();
        all.sort_unstable();
        all
    }

    fn is_grid(points: &Points<i64>) -> bool {
        points.beyond.is_empty()
    }

    #[test]
    fn grids_and_maps_hold_the_same() {
        let near: Vec<(Key, i64)> = (0..50_i32).map(|n| ((n % 7 - 3, n.unsigned_abs() % 5), i64::from(n))).collect();
        let mut far = near.clone();
        far.push(((9_000, 900), 1));
        far.push(((-9_000, 5_000), 2));
        let (grid, map): (Points<i64>, Points<i64>) = (near.iter().copied().collect(), far.iter().copied().collect());
        assert!(is_grid(&grid) && !is_grid(&map));
        for (points, values) in [(&grid, &near), (&map, &far)] {
            let expected: HashMap<Key, i64> = values.iter().copied().collect();
            let mut expected: Vec<(Key, i64)> = expected.into_iter().collect();
            expected.sort_unstable();
            assert_eq!(sorted(points), expected);
            assert!(expected.iter().all(|(key, value)| points.get(key) == Some(value)));
            let later = points.clone().later(2);
            assert!(expected.iter().all(|((period, other), value)| later.get(&(period + 2, *other)) == Some(value)));
        }
        assert_eq!((grid.span(), map.span()), (Some((-3, 3)), Some((-9_000, 9_000))));
        assert_eq!(grid.combinations(), [0, 1, 2, 3, 4]);
        assert_eq!(map.combinations(), [0, 1, 2, 3, 4, 900, 5_000]);
        let both = Points::joined(&[&grid, &map], |key| i64::from(grid.contains_key(&key)));
        assert_eq!(both.iter().count(), map.iter().count());
        let same = Points::joined(&[&grid, &grid], |key| grid.get(&key).copied().unwrap_or(-1));
        assert!(is_grid(&same) && sorted(&same) == sorted(&grid));
    }

    #[test]
    fn a_key_beyond_the_bounds_loses_nothing() {
        let mut points: Points<i64> = [((0, 0), 1), ((1, 1), 2)].into_iter().collect();
        *points.entry((5, 3), || 10) += 1;
        *points.entry((0, 0), || 10) += 1;
        points.insert((-1, 0), 7);
        assert_eq!(sorted(&points), [((-1, 0), 7), ((0, 0), 2), ((1, 1), 2), ((5, 3), 11)]);
        let none: Points<i64> = std::iter::empty().collect();
        assert_eq!((none.span(), none.combinations().len()), (None, 0));
        assert_eq!(Points::joined(&[&none, &none], |_| 0).iter().count(), 0);
    }
}
