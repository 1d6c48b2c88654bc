/**
 * `pilotctl redeem`: from one string to trust in both directions. A node that does not run yet is started at the rendezvous of
 * the invitation; one that runs elsewhere is not moved.
 */
import { Clock, Duration, Effect, Result } from "effect"
import * as DurationText from "../../core/data/DurationText.ts"
import * as Json from "../../core/data/Json.ts"
import * as Invitation from "../../protocol/trust/Invitation.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as DecodeError from "../../protocol/wire/DecodeError.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Input, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as RendezvousCard from "../rendezvous/RendezvousCard.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as InviteText from "./InviteText.ts"

/** What starts a node of this user, as `daemon start` does. */
export type Start = (input: Input) => Effect.Effect<unknown, CliError.CliError, Environment>

/** Redeems, waits for the answer, and says what came of it. */
export const run = Effect.fnUntraced(function* (
  input: Input,
  startDaemon: Start
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", TIMEOUT))
  const text = yield* textOf(input)
  const invitation = yield* decoded(text)
  if ((yield* Clock.currentTimeMillis) / 1000 >= invitation.expiresAtSeconds)
    return yield* CliError.make("expired", "the invitation has expired", "ask whoever sent it for another one")
  const client = yield* joined(input, invitation, startDaemon)
  yield* Terminal.note(input, `asking ${invitation.name || `node ${invitation.node}`}`)
  const said = Values.text(input, "message") ?? ""
  const reply = yield* DaemonClient.ask("redeem", client.extension("invite.redeem", { invitation: text, text: said }))
  if (Json.string(reply, "status") !== "already_trusted") yield* answered(client, reply, timeout)
  const status = Json.string(reply, "status") === "already_trusted" ? "already_trusted" : "trusted"
  return output({ ...reply, status }, InviteText.redeemed(reply))
})

/** Words that a terminal or a mail program has broken are one; `-` is standard input, which no list of processes shows. */
const textOf = Effect.fnUntraced(function* (input: Input) {
  const words = input.positionals.join("")
  if (words !== "-") return words
  return ((yield* Terminal.readAll(INPUT_BYTES_MAX)) ?? "").trim()
})

const decoded = (text: string): Effect.Effect<Invitation.Invitation, CliError.CliError> => {
  const invitation = Invitation.decode(text)
  return Result.isSuccess(invitation)
    ? Effect.succeed(invitation.success)
    : Effect.fail(
        CliError.invalidArgument(
          `this is not a whole invitation: ${DecodeError.format(invitation.failure)}`,
          `it begins with ${Invitation.PREFIX}; copy all of it`
        )
      )
}

/** A client of the node of this user, at the rendezvous of the invitation. */
const joined = Effect.fnUntraced(function* (
  input: Input,
  invitation: Invitation.Invitation,
  startDaemon: Start
): Effect.fn.Return<DaemonClient.IpcClient, CliError.CliError, Environment> {
  const running = yield* Effect.result(DaemonClient.connect)
  if (Result.isSuccess(running)) {
    yield* reach(input, running.success, invitation)
    return running.success
  }
  if (running.failure.code !== "not_running") return yield* running.failure
  yield* settle(invitation)
  yield* Terminal.note(input, `starting this node at the rendezvous ${invitation.registry}`)
  yield* startDaemon({ ...input, positionals: [], flags: startFlags(input) })
  return yield* DaemonClient.connect
})

/** A node that runs is registered there already, or joins it beside its own. */
const reach = Effect.fnUntraced(function* (
  input: Input,
  client: DaemonClient.IpcClient,
  invitation: Invitation.Invitation
): Effect.fn.Return<void, CliError.CliError, Environment> {
  const place = yield* DaemonClient.ask("redeem", client.extension("rendezvous", {}))
  if (isSame(place, invitation)) return
  const listed = yield* Effect.result(client.extension("rendezvous.list", {}))
  // A daemon that can be registered at one rendezvous only.
  if (Result.isFailure(listed)) return yield* elsewhere(Json.string(place, "registry"), invitation)
  if (Json.objects(listed.success, "memberships").some((membership) => isSame(membership, invitation))) return
  const { beacon, fingerprint, registry } = invitation
  yield* Terminal.note(input, `joining the rendezvous ${registry} beside this node's own`)
  const wanted = { registry, beacon, fingerprint, plaintext: fingerprint === "" }
  yield* DaemonClient.ask("redeem", client.extension("rendezvous.join", wanted))
})

/** The rendezvous of the invitation becomes the one of this node, unless a person has chosen another. */
const settle = Effect.fnUntraced(function* (invitation: Invitation.Invitation) {
  const { config } = yield* ConfigFile.directory
  const stored = yield* ConfigFile.read(config)
  const card = yield* RendezvousCard.read
  const fingerprint = Json.string(stored, "registry-fingerprint") || Json.string(stored, "registry_fingerprint")
  const place = stored["registry"] === undefined && card !== undefined ? { ...card } : { ...stored, fingerprint }
  const registry = Json.string(place, "registry")
  if (registry !== "" && !isSame(place, invitation)) return yield* elsewhere(registry, invitation)
  if (registry !== "") return
  yield* ConfigFile.update({
    registry: invitation.registry,
    beacon: invitation.beacon,
    ...(invitation.fingerprint === ""
      ? { "registry-plaintext": true }
      : { "registry-fingerprint": invitation.fingerprint })
  })
})

/** The certificate tells a rendezvous; addresses differ by where one stands. Without one there is only the address. */
const isSame = (place: Json.JsonObject, { fingerprint, registry }: Invitation.Invitation): boolean => {
  const own = Json.string(place, "fingerprint").replaceAll(":", "").toLowerCase()
  return own === "" || fingerprint === ""
    ? own === fingerprint && Json.string(place, "registry") === registry
    : own === fingerprint
}

const elsewhere = (registry: string, invitation: Invitation.Invitation) =>
  CliError.make(
    "invalid_state",
    `this node is registered at ${registry}, the invitation leads to the rendezvous ${invitation.registry}`,
    "redeem it with another node (PILOT_HOME=DIRECTORY pilotctl redeem …), or move this one: pilotctl daemon stop, then " +
      `pilotctl daemon start --registry ${invitation.registry} --beacon ${invitation.beacon}` +
      (invitation.fingerprint === "" ? " --registry-plaintext" : ` --registry-fingerprint ${invitation.fingerprint}`)
  )

const startFlags = (input: Input): Input["flags"] => new Map([...input.flags].filter(([name]) => name === "hostname"))

/** Until the inviter trusts us, has refused, or the time is up. */
const answered = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  reply: Json.JsonObject,
  timeout: Duration.Duration
): Effect.fn.Return<void, CliError.CliError, Environment> {
  const node = Address.NodeId(Json.unsigned(reply, "node_id", 32))
  const untilMs = (yield* Clock.currentTimeMillis) + Duration.toMillis(timeout)
  while (true) {
    const leftMs = untilMs - (yield* Clock.currentTimeMillis)
    const waiting = client.awaitTrust(node, Math.max(1, Math.min(leftMs, WAIT_MS)))
    if (Json.boolean(yield* DaemonClient.ask("redeem", waiting), "trusted")) return
    const now = yield* DaemonClient.ask("redeem", client.extension("trust.standing", { node }))
    if (now["refusal"] !== undefined) return yield* refused(Json.string(now, "refusal"))
    if (leftMs > 0) continue
    return yield* CliError.make(
      "timeout",
      `the node that invites has not answered within ${DurationText.format(timeout)}`,
      "the request waits for it; when it is there again, pilotctl trust shows it"
    )
  }
})

const refused = (reason: string) =>
  CliError.make(
    "permission_denied",
    reason === "" ? "the node that invites has refused the invitation" : reason,
    "ask whoever sent it for another one"
  )

const TIMEOUT = "30 seconds"
/** How long one look at the trust list may last before refusals are looked for. */
const WAIT_MS = 1000
const INPUT_BYTES_MAX = 65_536
