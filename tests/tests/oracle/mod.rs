//! Independent oracles for the KPIs: what a definition means, computed row by row.
//!
//! Nothing here shares code with the query engine. `world` holds the rows of a small company and
//! writes them as a lake, `derived` adds what follows from them, `segments` resolves segments,
//! `expression`, `formula` and `evaluate` give definitions their value, `compare` sets engine
//! against oracle. The tests are in `random`; `stories` has figures worked out on paper.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calendars;
mod compare;
mod currency;
mod derived;
mod dialect;
mod evaluate;
mod expression;
mod fixed;
mod formula;
mod generate;
mod hand;
mod interval;
mod metamorphic;
mod movements;
mod past;
mod random;
mod segments;
mod stories;
mod value;
mod world;
