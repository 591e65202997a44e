//! flambeau-packager
