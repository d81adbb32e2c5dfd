//! From hospital files and public releases to prepared pairs, and a look at what is there.
