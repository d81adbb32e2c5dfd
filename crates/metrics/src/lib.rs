//! Measures of generated pairs: agreement of image and mask, nearest training image, intervals.
