//! What the optimizer shows and sends.

use super::super::fixtures::{ascii, ctx, troubled, unicode};
use super::super::tests::draw;
use super::*;
use crate::model::sizing::{Prices, Ran, Resize, Sizings};

fn sizing(name: &str, resource: &str, amounts: (f64, f64), next: Option<f64>, why: &str) -> Arc<Sizing> {
    let (request, target) = amounts;
    let key = WorkloadKey::new("shop", crate::model::object::WorkloadKind::Deployment, name);
    let resize = |new_request| Resize {
        container: "app".into(),
        resource: resource.into(),
        request: Some(request),
        limit: Some(2.0 * request),
        new_request,
        new_limit: Some(2.0 * new_request),
    };
    Arc::new(Sizing {
        key,
        container: "app".into(),
        resource: resource.into(),
        request: Some(request),
        limit: Some(2.0 * request),
        target,
        lower: 0.8 * target,
        upper: 1.1 * target,
        peak: 0.9 * target,
        days: 7.9,
        censored: false,
        next: next.map(resize),
        waste: Some(3.0 * (request - target)),
        saving: next.map(|n| 3.0 * (request - n)),
        why: vec![why.into()],
    })
}

fn autoscaler() -> WhatIf {
    let ran = |settings: &str, pod_hours, short_minutes, changes, most| Ran {
        settings: settings.into(),
        pod_hours,
        short_minutes,
        changes,
        most,
    };
    WhatIf {
        key: WorkloadKey::new("shop", crate::model::object::WorkloadKind::Deployment, "frontend"),
        name: "frontend".into(),
        current: 3,
        next: Ok((5, "97 % of requests in use; recommended size matches current size".into())),
        ran: Ok(Arc::from([
            ran("as it is, target 65 %", 80.5, 42.0, 14, 8),
            ran("target 50 %", 104.0, 11.5, 16, 10),
            ran("at least 4 pods", 101.0, 20.0, 9, 8),
        ])),
        hours: 23.9,
    }
}

fn world() -> World {
    let gib = 1024.0 * 1024.0 * 1024.0;
    let mut world = troubled();
    let all = vec![
        sizing("catalogue", "cpu", (0.5, 0.48), None, "within 10 % of what is needed"),
        sizing(
            "checkout",
            "memory",
            (2.0 * gib, 0.5 * gib),
            Some(1.7 * gib),
            "less is needed than requested, 15 % at most in a step",
        ),
        sizing("payment", "cpu", (0.2, 0.4), Some(0.3), "more is needed than requested, 50 % at most in a step"),
    ];
    world.sizings = Arc::new(Sizings {
        made: Some(world.at),
        read: Some(world.at),
        all: all.into(),
        autoscalers: Arc::from([Arc::new(autoscaler())]),
        prices: Prices { core: Some(0.03), gib: Some(0.004) },
        ..Sizings::default()
    });
    world
}

#[test]
fn what_grows_stands_first_and_a_proposal_is_asked_for_where_something_changes() {
    let (theme, world) = (unicode(), Arc::new(world()));
    let c = ctx(&world, &theme, true);
    let mut p = Optimizer::default();
    p.sync(&c);
    assert!(p.copy().unwrap().ends_with("payment app cpu"), "{:?}", p.copy());
    assert!(p.sizing().unwrap().key.name.contains("payment"));
    let sent = p.run(CommandId::Propose, &c);
    assert!(
        matches!(&sent[..], [Effect::Send(Command::Rightsize { workload })] if &*workload.name == "payment"),
        "{sent:?}"
    );
    p.run(CommandId::Bottom, &c);
    assert!(p.why_not(CommandId::Propose, &c).unwrap().contains("nothing of catalogue changes"));
    insta::assert_snapshot!("sizes", draw(&p, &world, &theme, (120, 12)));
    p.run(CommandId::Up, &c);
    p.run(CommandId::Open, &c);
    insta::assert_snapshot!("size_detail", draw(&p, &world, &theme, (100, 26)));
    p.run(CommandId::Back, &c);
    p.run(CommandId::OptimizerView, &c);
    insta::assert_snapshot!("autoscalers", draw(&p, &world, &theme, (120, 8)));
    assert!(p.why_not(CommandId::Propose, &c).is_some());
    p.run(CommandId::Open, &c);
    insta::assert_snapshot!("autoscaler_detail", draw(&p, &world, &theme, (100, 20)));
}

#[test]
fn without_measurements_it_says_why_and_ascii_stays_ascii() {
    let (theme, mut empty) = (ascii(), troubled());
    empty.sizings = Arc::default();
    let empty = Arc::new(empty);
    let mut p = Optimizer::default();
    p.sync(&ctx(&empty, &theme, true));
    let text = draw(&p, &empty, &theme, (80, 12));
    assert!(text.contains("eight days of every container") && text.is_ascii(), "{text}");
    assert!(p.why_not(CommandId::Propose, &ctx(&empty, &theme, true)).is_some());
    let world = Arc::new(world());
    p.sync(&ctx(&world, &theme, true));
    for size in [(60, 12), (80, 21), (220, 57)] {
        let text = draw(&p, &world, &theme, size);
        assert!(text.is_ascii(), "{text}");
    }
}
