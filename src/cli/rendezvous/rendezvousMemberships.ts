/** `pilotctl rendezvous join|list|leave`: with whom the running daemon is registered besides its own rendezvous. */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import type * as CliError from "../CliError.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Render from "../Render.ts"
import * as Values from "../Values.ts"
import * as RendezvousClient from "./RendezvousClient.ts"

/** Stands above the rows, which need it while the module loads. */
const MEMBERSHIP =
  "alias, state, detail, registry, beacon, fingerprint, registry_address, address, node_id, hostname, endpoint, listen, peers"

const join: Command = {
  name: "rendezvous join",
  usage: "<host:port>",
  summary: "Registers this node with a further rendezvous as well; its peers are named NAME@ALIAS",
  returns: MEMBERSHIP,
  flags: [
    {
      name: "fingerprint",
      value: "text",
      placeholder: "hex",
      summary: "pin of its TLS certificate, as `pilotctl rendezvous status` prints it there (default: the first seen)"
    },
    {
      name: "as",
      value: "text",
      placeholder: "alias",
      summary: "what it is called here (default: from its host's name)"
    },
    { name: "beacon", value: "address", summary: "its beacon, host:port (default: the port after the registry's)" },
    { name: "hostname", value: "text", placeholder: "name", summary: "name of this node there (default: as at home)" },
    { name: "plaintext", value: "boolean", summary: "plain TCP, for a registry of the reference" }
  ],
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const registry = yield* Effect.fromResult(Values.positional(join, input, 0))
    const client = yield* DaemonClient.connect
    const joined = yield* RendezvousClient.join(client, {
      registry,
      fingerprint: Values.text(input, "fingerprint"),
      alias: Values.text(input, "as"),
      beacon: Values.text(input, "beacon"),
      hostname: Values.text(input, "hostname"),
      isPlaintext: Values.boolean(input, "plaintext") === true
    })
    const alias = Json.string(joined, "alias")
    return output(
      joined,
      [
        `joined ${registry} as ${alias}`,
        `  Address there: ${Json.string(joined, "registry_address")}`,
        `  Address here:  ${Json.string(joined, "address")}`,
        `  its peers are named NAME@${alias}; ask one for trust: pilotctl trust add NAME@${alias}`
      ].join("\n")
    )
  })
}

const list: Command = {
  name: "rendezvous list",
  usage: "",
  summary: "The rendezvous this node is registered with",
  returns: `memberships [${MEMBERSHIP}]`,
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const data = yield* Effect.flatMap(DaemonClient.connect, RendezvousClient.list)
    return output(data, text(Json.objects(data, "memberships")))
  })
}

const leave: Command = {
  name: "rendezvous leave",
  usage: "<alias>",
  summary: "Leaves a further rendezvous: its streams end, and the pins and the trust made there are forgotten",
  returns: "alias",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const alias = yield* Effect.fromResult(Values.positional(leave, input, 0))
    const client = yield* DaemonClient.connect
    yield* RendezvousClient.leave(client, alias)
    return output({ alias }, `left ${alias}`)
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [join, list, leave]

/** A table of memberships. */
export const text = (rows: ReadonlyArray<Json.JsonObject>): string =>
  Render.table(
    [
      ["ALIAS", 12],
      ["STATE", 8],
      ["REGISTRY", 24],
      ["ADDRESS THERE", 20],
      ["ADDRESS HERE", 20],
      ["PEERS", 0]
    ],
    rows.map((row) => [
      Json.string(row, "alias"),
      Json.string(row, "state"),
      Json.string(row, "registry"),
      Json.string(row, "registry_address") || "-",
      Json.string(row, "address") || "-",
      String(Json.integer(row, "peers"))
    ])
  )
