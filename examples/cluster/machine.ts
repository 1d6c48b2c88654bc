/**
 * One of several machines that do the work of one agent over a shared PostgreSQL. If one is lost, the others go on where it
 * was. The machine whose daemon has the agent's address also takes its tasks.
 *
 * DATABASE=postgres://… PORT=34431 node examples/cluster/machine.ts                 works for the others
 * DATABASE=postgres://… PORT=34432 PILOT_HOME=~/.pilot node examples/cluster/machine.ts
 * DATABASE=./state PILOT_HOME=~/.pilot node examples/cluster/machine.ts             alone, over SQLite
 */
import { NodeClusterSocket, NodeCrypto, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Layer, Option, Redacted } from "effect"
import { ClusterWorkflowEngine, RunnerAddress } from "effect/cluster"
import type { SqlClient } from "effect/sql"
import type { WorkflowEngine } from "effect/workflow"
import { Pilot, Tasks } from "effect-pilot"
import { Reporting } from "./reports.ts"

const { DATABASE = "./state", PILOT_HOME, PORT = "34431" } = process.env

/** Machines find each other through the database; they talk on `PORT`, which only they may reach. */
const shared = (url: string) =>
  ClusterWorkflowEngine.layer.pipe(
    Layer.provide(
      NodeClusterSocket.layer({
        storage: "sql",
        shardingConfig: {
          runnerAddress: Option.some(RunnerAddress.make("127.0.0.1", Number(PORT))),
          shardsPerGroup: 30,
          // How soon others take over: a few seconds after a machine fell silent.
          shardLockExpiration: "4 seconds",
          shardLockRefreshInterval: "1 second",
          refreshAssignmentsInterval: "500 millis",
          runnerHealthCheckInterval: "1 second",
          entityMessagePollInterval: "500 millis"
        }
      })
    ),
    Layer.provideMerge(PgClient.layer({ url: Redacted.make(url) })),
    Layer.provide(NodeCrypto.layer)
  )

const engine: Layer.Layer<SqlClient.SqlClient | WorkflowEngine.WorkflowEngine, unknown> = DATABASE.startsWith(
  "postgres:"
)
  ? shared(DATABASE)
  : Tasks.layerWorkflows(DATABASE)

const work =
  PILOT_HOME === undefined
    ? Reporting.worker
    : Tasks.serveWorkflow(Reporting, { concurrency: 8 }).pipe(Layer.provide(Pilot.layerDaemon({ home: PILOT_HOME })))

work.pipe(Layer.provide(engine), Layer.launch, NodeRuntime.runMain)
