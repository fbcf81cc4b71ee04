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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{AggregateEvent, CannotApply, EventDescriptor};
    use crate::event::{Claim, ClaimRule, DecodeError};

    struct Thing;

    #[derive(Clone, Debug, PartialEq)]
    enum Never {}

    impl AggregateEvent for Never {
        fn name(&self) -> &'static str {
            match *self {}
        }
        fn schema_version(&self) -> u32 {
            match *self {}
        }
        fn encode(&self, _: &mut Vec<u8>) -> Result<(), serde_json::Error> {
            match *self {}
        }
        fn decode(name: &str, _: u32, _: &[u8]) -> Result<Self, DecodeError> {
            Err(DecodeError::UnknownEvent { name: name.to_owned() })
        }
        fn claims(&self, _: &mut Vec<Claim>) -> Result<(), serde_json::Error> {
            match *self {}
        }
        fn claim_rules(&self) -> &'static [ClaimRule] {
            match *self {}
        }
    }

    impl Aggregate for Thing {
        const NAME: &'static str = "thing";
        type Id = u32;
        type Event = Never;
        const EVENTS: &'static [EventDescriptor] = &[];
        fn apply(_: Option<&mut Self>, event: &Never) -> Result<Option<Self>, CannotApply> {
            match *event {}
        }
    }

    fn fill(cache: &AggregateCache, count: u32) {
        for id in 0..count {
            let _slot = cache.slot::<Thing>(&Thing::stream(&id));
        }
    }

    #[test]
    fn the_count_is_bounded() {
        let cache = AggregateCache::new(100, 1 << 30);
        fill(&cache, 5_000);
        assert!((1..=100).contains(&cache.len()), "{}", cache.len());
    }

    #[test]
    fn the_estimated_bytes_are_bounded() {
        let cache = AggregateCache::new(1_000_000, 100 * 1024);
        fill(&cache, 5_000);
        let before = cache.len();
        assert!((100..=400).contains(&before), "{before}");
        // One that has grown drives others out.
        let stream = Thing::stream(&4_999);
        let _slot = cache.slot::<Thing>(&stream);
        cache.reweigh(&stream, 50 * 1024);
        assert!(cache.len() < before, "{} of {before}", cache.len());
    }

    #[test]
    fn a_slot_in_use_stays() {
        let cache = AggregateCache::new(10, 1 << 20);
        let stream = Thing::stream(&0);
        let mine = cache.slot::<Thing>(&stream);
        let _turn = mine.enter();
        fill(&cache, 1_000);
        assert!(Arc::ptr_eq(&mine, &cache.slot::<Thing>(&stream)));
    }
}
