//! Tests a whole U-Net with the fast operations: its bits do not depend on the number of threads, and those of the forward pass do
//! not depend on the batch.

use burn::tensor::{Device, Tensor, TensorData};
use pig_device::testing;
use pig_nn::{config::UNetConfig, parameters, pass::Pass, unet::UNet};

/// Every part of the released layout, with few channels.
fn network(device: &Device) -> UNet {
    let config = UNetConfig {
        block_out_channels: vec![16, 48],
        attention_levels: vec![1],
        norm_num_groups: 4,
        ..UNetConfig::default()
    };
    parameters::initialise(UNet::new(&config, [2, 1], device).unwrap(), 1)
}

fn images(batch: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..batch * 12 * 16 * 2).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(values, [batch, 12, 16, 2]), device)
}

const TIMES: [f32; 8] = [0.0, 1.0, 50.0, 511.0, 512.0, 700.0, 1000.0, 1023.0];

#[test]
fn gradients_have_the_same_bits_on_any_number_of_threads() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let run = || {
        let device = Device::flex().autodiff();
        let network = network(&device);
        let y = network.forward(images(8, &device.clone().without_autodiff()), &TIMES, &Pass::default());
        let gradients = y.clone().square().mean().backward();
        let conv = network.conv_in.weight.val().grad(&gradients).unwrap();
        let query = network.mid_block.attentions[0].to_q.weight.val().grad(&gradients).unwrap();
        (y.inner().into_data(), conv.into_data(), query.into_data())
    };
    let [one, rest @ ..] = [1, 2, 3, 4].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(run)
    });
    for other in rest {
        assert_eq!(other, one);
    }
}

#[test]
fn a_sample_alone_is_the_sample_in_a_batch() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let device = Device::flex();
    let network = network(&device);
    let x = images(8, &device);
    let together = network.forward(x.clone(), &TIMES, &Pass::default());
    for (sample, time) in TIMES.into_iter().enumerate() {
        let alone = network.forward(x.clone().narrow(0, sample, 1), &[time], &Pass::default());
        assert_eq!(alone.into_data(), together.clone().narrow(0, sample, 1).into_data(), "sample {sample}");
    }
}
