//! fetch_session
