/** The node itself, in this process (node §11). Loaded only where one runs. */
import { Context, Effect, type Scope } from "effect"
import * as DaemonLayer from "../../actors/layers/DaemonLayer.ts"
import type { NodeConfig } from "../../actors/layers/NodeConfig.ts"
import type { NodeError } from "../../actors/layers/NodeError.ts"
import { NodeRules } from "../../actors/layers/PolicyLayer.ts"
import * as Telemetry from "../../actors/layers/Telemetry.ts"
import * as NodeBuffers from "../../core/net/NodeBuffers.ts"
import * as CliError from "../CliError.ts"
import * as Hangup from "./Hangup.ts"

/**
 * Runs until interrupted; then its streams end regularly, it leaves the registry and removes its socket. `claim` runs
 * once the node is up, so that a refused second daemon leaves no trace of itself.
 */
export const runDaemon = <R>(
  config: NodeConfig,
  version: string,
  claim: Effect.Effect<void, CliError.CliError, R>
): Effect.Effect<never, CliError.CliError, R | Scope.Scope> =>
  Effect.gen(function* () {
    NodeBuffers.growFreely()
    const services = yield* Effect.mapError(DaemonLayer.start(config, version), refusal)
    yield* Hangup.on(Effect.ignore(Context.get(services, NodeRules).policy.reload))
    yield* claim
    yield* Effect.logInfo(`daemon ready on ${config.socket}`)
    return yield* Effect.never
  }).pipe(Effect.provide(Telemetry.layer({ level: config.logLevel, format: config.logFormat })))

const refusal = ({ reason, detail, hint }: NodeError): CliError.CliError => CliError.make(CODES[reason], detail, hint)

const CODES: Readonly<Record<NodeError["reason"], CliError.Code>> = {
  AlreadyRunning: "already_exists",
  StateUnusable: "internal",
  IdentityUnusable: "internal",
  IdentityLocked: "auth_required",
  TrustUnusable: "internal",
  PolicyUnusable: "invalid_argument",
  PortInUse: "already_exists",
  ListenFailed: "internal",
  HostUnknown: "connection_failed",
  RegistryUnavailable: "connection_failed",
  RegistryRefused: "connection_failed",
  RegistryPinMismatch: "key_changed",
  RegistryNoTls: "connection_failed",
  SocketUnusable: "internal"
}
