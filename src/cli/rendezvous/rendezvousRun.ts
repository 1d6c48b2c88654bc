/** The rendezvous itself, in this process. Loaded only where one runs. */
import { Effect, type FileSystem, type Path, type Scope } from "effect"
import * as RendezvousLayer from "../../actors/layers/RendezvousLayer.ts"
import * as Telemetry from "../../actors/layers/Telemetry.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as CliError from "../CliError.ts"
import type { CliHost } from "../CliHost.ts"
import * as RendezvousCard from "./RendezvousCard.ts"
import type { Loaded } from "./rendezvousConfig.ts"

/** Runs until interrupted, or until the registry gives up. `claim` runs once it is up. */
export const runRendezvous = <R>(
  { config, logFormat, logLevel }: Loaded,
  claim: Effect.Effect<void, CliError.CliError, R>
): Effect.Effect<never, CliError.CliError, R | CliHost | FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const running = yield* Effect.mapError(RendezvousLayer.start(config), refusal)
    yield* claim
    const card = {
      registry: local(running.registry),
      beacon: local(running.beacon),
      wss: running.wss === undefined ? undefined : `wss://${local(running.wss)}`,
      fingerprint: running.fingerprint,
      http: running.http === undefined ? undefined : local(running.http),
      store: config.store
    }
    yield* Effect.mapError(RendezvousCard.publish(card), (error) =>
      CliError.make("internal", `cannot write the state directory: ${error.message}`)
    )
    yield* Effect.logInfo(`rendezvous ready: registry ${card.registry}, beacon ${card.beacon}, TLS ${card.fingerprint}`)
    yield* running.exit
    return yield* CliError.make("internal", "the registry gave up; its log says why")
  }).pipe(Effect.provide(Telemetry.layer({ level: logLevel, format: logFormat })))

/** How a process on this host reaches a socket that is bound to every address. */
const local = (endpoint: Endpoint.Endpoint): string =>
  Endpoint.format(endpoint.host === "0.0.0.0" || endpoint.host === "::" ? { ...endpoint, host: "127.0.0.1" } : endpoint)

const refusal = (error: RendezvousLayer.RendezvousError): CliError.CliError => {
  switch (error._tag) {
    case "BindError":
      return error.reason === "PortInUse"
        ? CliError.make(
            "already_exists",
            `port in use: ${Endpoint.format(error)}`,
            "another rendezvous may be running; choose other ports with --registry-addr and --beacon-addr"
          )
        : CliError.make("internal", `cannot listen on ${Endpoint.format(error)}: ${error.detail}`)
    case "CertificateError":
      return CliError.make("internal", `cannot use ${error.path}: ${error.detail}`)
    case "DatabaseError":
      return CliError.make("internal", `cannot use ${error.path}: ${error.detail}`, DATABASE_HINTS[error.reason])
    case "RegistryStoreError":
      return CliError.make("internal", `cannot ${error.operation} the registry's state: ${error.detail}`)
    case "RendezvousConfigError":
      return CliError.invalidArgument(error.detail, "--tls-cert FILE and --tls-key FILE go together")
  }
}

const DATABASE_HINTS: Readonly<Record<string, string>> = {
  Corrupted: "restore it from a backup; moving it away starts an empty registry, where every node registers anew",
  Locked: "another process uses it; each rendezvous needs a store of its own (--store)",
  NotPermitted: "choose another place with --store, or make this one writable",
  NotFound: "choose another place with --store"
}
