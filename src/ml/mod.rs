//! Generic learning algorithms: plain numbers in, plain numbers out. They know no Kubernetes and nobody else.

pub mod anomaly;
pub mod change;
pub(crate) mod descent;
pub mod drift;
pub mod explain;
pub mod forecast;
pub mod forest;
pub mod gp;
pub mod histogram;
pub mod iforest;
pub mod lag;
pub mod model_file;
pub mod nab;
pub mod net;
pub mod optimize;
pub mod pca;
pub(crate) mod random;
pub mod rootcause;
pub mod sketch;
