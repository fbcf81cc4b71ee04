//! The aggregate cache: one slot an aggregate, bounded by count and by an estimate of bytes.

use std::any::Any;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use super::turn::Slot;
use crate::aggregate::Aggregate;
use crate::event::StreamId;

/// A slot of any aggregate, with the estimated size it was weighed with.
#[derive(Clone, Debug)]
struct AnySlot {
    slot: Arc<dyn Any + Send + Sync>,
    bytes: usize,
}

/// How much of the cache an entry takes: its share of the bytes, but at least its share of the count. One bound of the
/// cache library thus holds both of ours.
#[derive(Clone, Debug)]
struct Weigh {
    least: u64,
}

impl Weighter<StreamId, AnySlot> for Weigh {
    fn weight(&self, stream: &StreamId, slot: &AnySlot) -> u64 {
        let overhead = 256 + stream.key().len();
        ((slot.bytes + overhead) as u64).max(self.least)
    }
}

/// Keeps a slot while a dispatch stands in its line: two slots of one aggregate would conflict with each other.
#[derive(Clone, Debug, Default)]
struct InUse;

impl Lifecycle<StreamId, AnySlot> for InUse {
    type RequestState = ();

    fn is_pinned(&self, _: &StreamId, slot: &AnySlot) -> bool {
        Arc::strong_count(&slot.slot) > 1
    }
}

#[derive(Debug)]
pub(crate) struct AggregateCache {
    slots: Cache<StreamId, AnySlot, Weigh, DefaultHashBuilder, InUse>,
}

impl AggregateCache {
    /// Makes a cache for at most `count` aggregates of an estimated `bytes` altogether.
    pub(crate) fn new(count: usize, bytes: u64) -> Self {
        let least = (bytes / count.max(1) as u64).max(1);
        Self { slots: Cache::with(count, bytes.max(1), Weigh { least }, DefaultHashBuilder::default(), InUse) }
    }

    /// Gives the aggregate's slot, a new one if there is none.
    pub(crate) fn slot<A: Aggregate>(&self, stream: &StreamId) -> Arc<Slot<A>> {
        let any = self.slots.get(stream).unwrap_or_else(|| self.insert::<A>(stream));
        // Two aggregates of one name in one application do not compile, so the type always fits; if it did not, a slot
        // outside the cache would still be right, only slower.
        any.slot.downcast().unwrap_or_else(|_| Arc::new(Slot::new(stream.clone())))
    }

    fn insert<A: Aggregate>(&self, stream: &StreamId) -> AnySlot {
        let inserted = self.slots.get_or_insert_with(stream, || {
            let slot: Arc<dyn Any + Send + Sync> = Arc::new(Slot::<A>::new(stream.clone()));
            Ok::<_, std::convert::Infallible>(AnySlot { slot, bytes: size_of::<A>() })
        });
        match inserted {
            Ok(any) => any,
            Err(never) => match never {},
        }
    }

    /// Weighs a slot anew when its state has grown to twice what it was weighed with.
    pub(crate) fn reweigh(&self, stream: &StreamId, bytes: usize) {
        if let Some(weighed) = self.slots.peek(stream)
            && bytes > weighed.bytes.saturating_mul(2).saturating_add(1024)
        {
            let _not_admitted = self.slots.replace(stream.clone(), AnySlot { slot: weighed.slot, bytes }, true);
        }
    }

    /// Counts the cached aggregates.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}
