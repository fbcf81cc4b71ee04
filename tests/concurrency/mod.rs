//! Many commands at once: turns, chains, time-outs, dropped futures, several applications on one store.

mod nested;
mod stopped;
mod turns;
