//! What is particular to PostgreSQL: schemas, damage done with SQL, servers that crash.

mod damage;
mod kill;
mod opening;
mod server;
