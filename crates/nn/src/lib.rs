//! Networks: the U-Net, its operations, and the exponential moving average of weights.
