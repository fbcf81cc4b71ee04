//! For stores in tests that stand on another one.

/// Writes methods of the store traits that only pass the call on to the field `$inner`: what a store in a test leaves
/// as it is.
///
/// A method that has no default and is left out is a compile error, as in every impl of a trait.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_to_store {
    ($inner:ident: $($method:ident)+) => {
        $($crate::forward_to_store!(@ $inner $method);)+
    };
    (@ $inner:ident submit) => {
        async fn submit(&self, commit: $crate::store::NewCommit) -> $crate::store::CommitTicket {
            self.$inner.submit(commit).await
        }
    };
    (@ $inner:ident read_stream) => {
        async fn read_stream(
            &self,
            stream: &$crate::event::StreamId,
            after: $crate::event::Version,
            limit: usize,
        ) -> Result<Vec<$crate::store::StoredEvent>, $crate::store::StoreError> {
            self.$inner.read_stream(stream, after, limit).await
        }
    };
    (@ $inner:ident read_history) => {
        async fn read_history(
            &self,
            stream: &$crate::event::StreamId,
            after: $crate::event::Version,
            limit: usize,
        ) -> Result<Vec<$crate::event::Recorded<$crate::event::AnyEvent>>, $crate::store::StoreError> {
            self.$inner.read_history(stream, after, limit).await
        }
    };
    (@ $inner:ident read_all) => {
        async fn read_all(
            &self,
            after: $crate::event::GlobalPosition,
            limit: usize,
        ) -> Result<Vec<$crate::event::Recorded<$crate::event::AnyEvent>>, $crate::store::StoreError> {
            self.$inner.read_all(after, limit).await
        }
    };
    (@ $inner:ident head) => {
        async fn head(&self) -> Result<$crate::event::GlobalPosition, $crate::store::StoreError> {
            self.$inner.head().await
        }
    };
    (@ $inner:ident event_count) => {
        async fn event_count(&self) -> Result<u64, $crate::store::StoreError> {
            self.$inner.event_count().await
        }
    };
    (@ $inner:ident watch) => {
        fn watch(&self) -> ::tokio::sync::watch::Receiver<$crate::event::GlobalPosition> {
            self.$inner.watch()
        }
    };
    (@ $inner:ident history) => {
        fn history(&self) -> $crate::store::History {
            self.$inner.history()
        }
    };
    (@ $inner:ident close) => {
        async fn close(&self) {
            self.$inner.close().await;
        }
    };
    (@ $inner:ident find) => {
        async fn find(
            &self,
            tenant: &str,
            key: &str,
        ) -> Result<Option<$crate::store::LedgerRecord>, $crate::store::StoreError> {
            self.$inner.find(tenant, key).await
        }
    };
    (@ $inner:ident forget_before) => {
        async fn forget_before(
            &self,
            time: ::chrono::DateTime<::chrono::Utc>,
        ) -> Result<u64, $crate::store::StoreError> {
            self.$inner.forget_before(time).await
        }
    };
    (@ $inner:ident register_claims) => {
        async fn register_claims(
            &self,
            declared: &[$crate::store::EventClaims],
        ) -> Result<Vec<$crate::store::ClaimsDiffer>, $crate::store::StoreError> {
            self.$inner.register_claims(declared).await
        }
    };
    (@ $inner:ident begin_claims) => {
        async fn begin_claims(
            &self,
            declared: &[$crate::store::EventClaims],
        ) -> Result<Option<$crate::store::ClaimBuild>, $crate::store::BuildClaimsError> {
            self.$inner.begin_claims(declared).await
        }
    };
    (@ $inner:ident store_claims) => {
        async fn store_claims(
            &self,
            page: $crate::store::ClaimPage,
        ) -> Result<$crate::store::ClaimsStep, $crate::store::StoreError> {
            self.$inner.store_claims(page).await
        }
    };
    (@ $inner:ident finish_claims) => {
        async fn finish_claims(
            &self,
            build: &$crate::store::ClaimBuild,
        ) -> Result<$crate::store::ClaimsStep, $crate::store::StoreError> {
            self.$inner.finish_claims(build).await
        }
    };
    (@ $inner:ident snapshot) => {
        async fn snapshot(
            &self,
            stream: &$crate::event::StreamId,
            fingerprint: u64,
        ) -> Result<Option<($crate::event::Version, ::bytes::Bytes)>, $crate::store::StoreError> {
            self.$inner.snapshot(stream, fingerprint).await
        }
    };
    (@ $inner:ident identity) => {
        async fn identity(
            &self,
            external: &$crate::store::ExternalId,
        ) -> Result<Option<String>, $crate::store::StoreError> {
            self.$inner.identity(external).await
        }
    };
    (@ $inner:ident identify) => {
        async fn identify(
            &self,
            external: &$crate::store::ExternalId,
            candidate: &str,
        ) -> Result<String, $crate::store::StoreError> {
            self.$inner.identify(external, candidate).await
        }
    };
    (@ $inner:ident rows) => {
        async fn rows(
            &self,
            table: $crate::read_model::TableRef,
            keys: &[$crate::read_model::RowKey],
        ) -> Result<Vec<Option<Vec<$crate::read_model::Value>>>, $crate::store::StoreError> {
            self.$inner.rows(table, keys).await
        }
    };
    (@ $inner:ident select) => {
        async fn select(
            &self,
            table: $crate::read_model::TableRef,
            selection: &$crate::read_model::Selection,
        ) -> Result<Vec<Vec<$crate::read_model::Value>>, $crate::store::StoreError> {
            self.$inner.select(table, selection).await
        }
    };
    (@ $inner:ident count) => {
        async fn count(
            &self,
            table: $crate::read_model::TableRef,
            selection: &$crate::read_model::Selection,
        ) -> Result<u64, $crate::store::StoreError> {
            self.$inner.count(table, selection).await
        }
    };
    (@ $inner:ident register) => {
        async fn register(
            &self,
            projection: &'static $crate::projection::ProjectionDescriptor,
            reset: Option<::std::sync::Arc<dyn $crate::projection::ConnectedProjector>>,
        ) -> Result<(), $crate::store::RegisterError> {
            self.$inner.register(projection, reset).await
        }
    };
    (@ $inner:ident projections) => {
        async fn projections(&self) -> Result<Vec<$crate::store::ProjectionVersion>, $crate::store::StoreError> {
            self.$inner.projections().await
        }
    };
    (@ $inner:ident reset) => {
        async fn reset(
            &self,
            projection: &'static $crate::projection::ProjectionDescriptor,
            connected: Option<::std::sync::Arc<dyn $crate::projection::ConnectedProjector>>,
        ) -> Result<(), $crate::store::StoreError> {
            self.$inner.reset(projection, connected).await
        }
    };
    (@ $inner:ident drop_retired) => {
        async fn drop_retired(&self, name: &str) -> Result<u64, $crate::store::StoreError> {
            self.$inner.drop_retired(name).await
        }
    };
    (@ $inner:ident project) => {
        async fn project(
            &self,
            batch: $crate::store::Batch,
        ) -> Result<$crate::store::BatchDone, $crate::store::BatchError> {
            self.$inner.project(batch).await
        }
    };
    (@ $inner:ident checkpoints) => {
        async fn checkpoints(
            &self,
            name: &str,
            version: u32,
        ) -> Result<Vec<$crate::store::Checkpoint>, $crate::store::StoreError> {
            self.$inner.checkpoints(name, version).await
        }
    };
    (@ $inner:ident set_status) => {
        async fn set_status(
            &self,
            name: &str,
            version: u32,
            partition: Option<u32>,
            status: $crate::store::SubscriptionStatus,
        ) -> Result<(), $crate::store::StoreError> {
            self.$inner.set_status(name, version, partition, status).await
        }
    };
    (@ $inner:ident rewind) => {
        async fn rewind(
            &self,
            name: &str,
            version: u32,
            to: $crate::event::GlobalPosition,
        ) -> Result<(), $crate::store::StoreError> {
            self.$inner.rewind(name, version, to).await
        }
    };
    (@ $inner:ident letters) => {
        async fn letters(
            &self,
            name: &str,
            version: u32,
            key: Option<&str>,
            limit: usize,
        ) -> Result<Vec<$crate::store::Letter>, $crate::store::StoreError> {
            self.$inner.letters(name, version, key, limit).await
        }
    };
    (@ $inner:ident first_letter) => {
        async fn first_letter(
            &self,
            name: &str,
            version: u32,
            streams: &[$crate::event::StreamId],
            to: $crate::event::GlobalPosition,
        ) -> Result<Option<$crate::event::GlobalPosition>, $crate::store::StoreError> {
            self.$inner.first_letter(name, version, streams, to).await
        }
    };
    (@ $inner:ident parked_keys) => {
        async fn parked_keys(&self, id: &$crate::store::PartitionId) -> Result<Vec<String>, $crate::store::StoreError> {
            self.$inner.parked_keys(id).await
        }
    };
    (@ $inner:ident touch_letter) => {
        async fn touch_letter(
            &self,
            id: &$crate::store::PartitionId,
            position: $crate::event::GlobalPosition,
            cause: &str,
        ) -> Result<(), $crate::store::StoreError> {
            self.$inner.touch_letter(id, position, cause).await
        }
    };
    (@ $inner:ident skip_letter) => {
        async fn skip_letter(
            &self,
            id: &$crate::store::PartitionId,
            position: $crate::event::GlobalPosition,
        ) -> Result<bool, $crate::store::StoreError> {
            self.$inner.skip_letter(id, position).await
        }
    };
    (@ $inner:ident versions_at) => {
        async fn versions_at(
            &self,
            streams: &[$crate::event::StreamId],
            position: $crate::event::GlobalPosition,
        ) -> Result<Vec<$crate::event::Version>, $crate::store::StoreError> {
            self.$inner.versions_at(streams, position).await
        }
    };
    (@ $inner:ident events_at) => {
        async fn events_at(
            &self,
            positions: &[$crate::event::GlobalPosition],
        ) -> Result<Vec<$crate::event::Recorded<$crate::event::AnyEvent>>, $crate::store::StoreError> {
            self.$inner.events_at(positions).await
        }
    };
    (@ $inner:ident lease) => {
        async fn lease(
            &self,
            request: &$crate::store::LeaseRequest,
        ) -> Result<Vec<$crate::store::Lease>, $crate::store::StoreError> {
            self.$inner.lease(request).await
        }
    };
    (@ $inner:ident leave) => {
        async fn leave(&self, process: $crate::store::ProcessId) -> Result<(), $crate::store::StoreError> {
            self.$inner.leave(process).await
        }
    };
}
