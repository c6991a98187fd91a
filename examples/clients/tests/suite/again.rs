//! Clients that connect again by themselves: cut off, they have to land inside again, and nowhere once the container
//! has ended.

use std::time::Duration;

use fred::interfaces::ClientLike as _;
use fred::prelude::{Builder, Config, ReconnectPolicy, ServerConfig};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portolan_clients::Answer;
use portolan_dial::Connector;
use portolan_dial::tunnel::Tunnel;
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use crate::servers::{HTTP, PASSWORD, POSTGRES, REDIS, Servers};
use crate::suite::Heard;

/// Connected clients.
pub(crate) struct Again {
    postgres: PgPool,
    redis: fred::prelude::Client,
    web: Client<Connector, Empty<&'static [u8]>>,
    tunnels: [Tunnel; 2],
}

impl Again {
    pub(crate) async fn connect(servers: &Servers) -> Self {
        let tunnel = servers.dialer.tunnel(servers.at(POSTGRES)).file_name(".s.PGSQL.5432").start().unwrap();
        let login = PgConnectOptions::new_without_pgpass()
            .username("postgres")
            .password(PASSWORD)
            .database("postgres");
        let login = login.socket(tunnel.directory().unwrap()).port(5432).ssl_mode(PgSslMode::Disable);
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(3)).max_connections(1);
        let postgres = pool.connect_with(login).await.unwrap();
        let to_redis = servers.dialer.tunnel(servers.at(REDIS)).start().unwrap();
        let server = ServerConfig::Unix { path: to_redis.address().to_string().into() };
        let config = Config { server, password: Some(PASSWORD.to_owned()), ..Config::default() };
        let mut redis = Builder::from_config(config);
        redis.with_performance_config(|limits| limits.default_command_timeout = Duration::from_secs(3));
        redis.set_policy(ReconnectPolicy::new_constant(0, 50));
        let redis = redis.build().unwrap();
        redis.init().await.unwrap();
        let connector = servers.dialer.connector().to(servers.at(HTTP));
        let web = Client::builder(TokioExecutor::new()).build(connector);
        Self { postgres, redis, web, tunnels: [tunnel, to_redis] }
    }

    /// Ends every connection from the other side.
    pub(crate) async fn cut(&self) {
        let before = self.accepted();
        // Whoever asks does not hear the answer, and nor does the next before it has connected again.
        let own = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").execute(&self.postgres).await;
        assert!(own.is_err(), "{own:?}");
        let killed: Result<i64, _> =
            self.redis.custom(fred::cmd!("CLIENT"), vec!["KILL", "TYPE", "normal", "SKIPME", "no"]).await;
        println!("cut off: postgres {own:?}, redis {killed:?}");
        self.postgres().await.unwrap();
        self.redis().await.unwrap();
        assert_eq!(self.accepted(), before.map(|count| count + 1));
    }

    /// How often each tunnel was connected to.
    fn accepted(&self) -> [u64; 2] {
        self.tunnels.each_ref().map(|tunnel| tunnel.counters().accepted)
    }

    pub(crate) async fn ask(&self, heard: &mut Heard<'_>) {
        heard.ask("sqlx, again", "inside", self.postgres()).await;
        heard.ask("fred, again", "redis_version", self.redis()).await;
        heard.ask("hyper-util, again", "inside", self.web()).await;
    }

    async fn postgres(&self) -> Answer {
        Ok(sqlx::query("SHOW cluster_name").fetch_one(&self.postgres).await?.try_get(0)?)
    }

    async fn redis(&self) -> Answer {
        let info: String = self.redis.custom(fred::cmd!("INFO"), vec!["server"]).await?;
        Ok(info.lines().find(|line| line.starts_with("redis_version")).unwrap_or_default().to_owned())
    }

    async fn web(&self) -> Answer {
        let answer = self.web.get("http://web.inside.test/".parse()?).await?;
        Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?)
    }
}
