//! Small scopes, whole.
