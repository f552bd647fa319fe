//! One lie of a server per invariant, over HTTP, and that the checker reports it.

use std::time::Duration;

use model::Labels;

use super::{Checker, Load, Reader, Writer};
use crate::client::PushSample;
use fake::{Fake, Lie};

mod fake;

const LOAD: Duration = Duration::from_millis(300);

fn load() -> Load {
    Load { run: "r".to_owned(), series: 20, pause: Duration::from_millis(5) }
}

/// Two tenants write to a server, which then lies; what the checker says.
async fn told(lie: Lie) -> anyhow::Result<usize> {
    let fake = Fake::start().await?;
    let (checker, client) = (Checker::new(), fake.client());
    let writer = Writer::start(&checker, vec![client.of_tenant("a"), client.of_tenant("b")], load());
    tokio::time::sleep(LOAD).await;
    writer.stop().await?;
    checker.nothing_failed()?;
    fake.lie(lie);
    let refused = PushSample { labels: Labels::from_pairs([("__name__", "ledger_value"), ("run", "refused")]), t: 1, v: 2.0 };
    checker.push(&client.of_tenant("a"), &[refused]).await?;
    checker.verify(&client).await
}

#[tokio::test]
async fn i1_to_i4_each_lie_is_told() -> anyhow::Result<()> {
    assert!(told(Lie::None).await? > 200);
    for (lie, says) in [
        (Lie::Lose, " 1 lost"),
        (Lie::Double, " 1 doubled"),
        (Lie::Flip, " 1 wrong"),
        (Lie::KeepRefused, " 2 refused but there"),
        (Lie::NeverSent, " 2 never sent"),
        (Lie::Foreign, " of another tenant"),
    ] {
        let said = told(lie).await.expect_err("a lie").to_string();
        assert!(said.contains(says) && !said.contains(&format!(" 0{}", &says[2..])), "{lie:?}: {said}");
    }
    Ok(())
}

/// What a reader says of a server that lies while others write.
async fn read(lie: Lie) -> anyhow::Result<super::Asked> {
    let fake = Fake::start().await?;
    let (checker, client) = (Checker::new(), fake.client());
    let clients = vec![client.of_tenant("a"), client.of_tenant("b")];
    let writer = Writer::start(&checker, clients.clone(), load());
    let reader = Reader::start(&checker, clients, Duration::from_secs(5));
    tokio::time::sleep(LOAD).await;
    fake.lie(lie);
    tokio::time::sleep(LOAD).await;
    writer.stop().await?;
    reader.stop().await
}

#[tokio::test]
async fn i5_a_wrong_subset_is_told_and_an_error_or_a_warning_is_fine() -> anyhow::Result<()> {
    let asked = read(Lie::None).await?;
    assert!(asked.right > 3 && asked.failed == 0 && asked.found > 0, "{asked:?}");
    let said = read(Lie::Half).await.expect_err("a wrong subset").to_string();
    assert!(said.contains(" lost") && !said.contains(" 0 lost"), "{said}");
    let asked = read(Lie::Fail).await?;
    assert!(asked.failed > 0 && asked.failures[0].contains("503"), "{asked:?}");
    let asked = read(Lie::HalfWithWarning).await?;
    assert!(asked.marked > 0, "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_not_taken_for_a_good_one() -> anyhow::Result<()> {
    let fake = Fake::start().await?;
    fake.lie(Lie::Fail);
    let checker = Checker::new();
    let sample = PushSample { labels: Labels::from_pairs([("__name__", "m")]), t: 1, v: 2.0 };
    assert!(checker.write(&fake.client(), std::slice::from_ref(&sample)).await.is_err());
    assert!(checker.nothing_failed().is_err());
    assert!(checker.verify(&fake.client()).await.is_err(), "no answer");
    fake.lie(Lie::None);
    assert!(checker.verify(&fake.client()).await.unwrap_err().to_string().contains("nothing was acknowledged"));
    checker.write(&fake.client(), &[sample]).await?;
    assert_eq!(checker.verify(&fake.client()).await?, 1, "it was tried again");
    Ok(())
}
