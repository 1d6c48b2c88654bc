/** The search of `pilotctl find`: the directory over the running daemon, and its answer for people and programs. */
import { Effect, type FileSystem, type Path } from "effect"
import * as CapabilityDirectory from "../../actors/mcp/client/CapabilityDirectory.ts"
import * as CardBookFile from "../../actors/mcp/client/CardBookFile.ts"
import * as Provided from "../../core/actor/Provided.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as CapabilityCard from "../../protocol/directory/CapabilityCard.ts"
import type { FoundService } from "../../protocol/directory/FoundService.ts"
import { MCP_PORT } from "../../protocol/relay/RelayControl.ts"
import * as Identity from "../../protocol/trust/Identity.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"

/** Searches through the daemon. `schema` is JSON text. */
export const search = Effect.fnUntraced(function* (question: {
  readonly words: string
  readonly schema: string | undefined
  readonly limit: number
  readonly includePublic: boolean
}): Effect.fn.Return<CapabilityDirectory.Answer, CliError.CliError, Environment> {
  const schema = question.schema === undefined ? {} : Json.parseObject(question.schema)
  if (schema === undefined) {
    return yield* CliError.invalidArgument("--schema is not a JSON object", `--schema '{"properties":{"path":{}}}'`)
  }
  const options = yield* daemonOptions
  return yield* CapabilityDirectory.search(options, {
    ...question,
    schema,
    parameters: CapabilityCard.parametersOf(schema)
  }).pipe(Effect.mapError((detail) => CliError.make("connection_failed", detail)))
})

const daemonOptions = Effect.gen(function* () {
  const client = yield* DaemonClient.connect
  const { cardBook } = yield* KeeperPlaces.places
  const { sha256, verify } = yield* Effect.provide(Crypto, NativeCrypto.layer)
  // Each stream has a daemon connection of its own, which ends with the stream.
  const environment = yield* Provided.services<Environment>()
  const files = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const ask = (operation: string, value: Json.JsonObject) =>
    Effect.mapError(client.extension(operation, value), (error) => DaemonClient.failure("find", error).message)
  const options: CapabilityDirectory.Options = {
    self: Effect.mapBoth(client.info, {
      onFailure: (error) => DaemonClient.failure("find", error).message,
      onSuccess: (info) => Json.unsigned(info, "node_id", 32)
    }),
    trusted: Effect.map(ask("trust.keys", {}), (reply) =>
      Json.objects(reply, "trusted").flatMap((row) => {
        const publicKey = Identity.decodePublicKey(Json.string(row, "public_key"))
        return publicKey === undefined ? [] : [{ node: Json.unsigned(row, "node_id", 32), publicKey }]
      })
    ),
    dial: (node) =>
      Effect.flatMap(DaemonClient.connect, (own) => own.dial(Address.make(0, node), MCP_PORT)).pipe(
        Effect.provideContext(environment)
      ),
    publicCards: (asked) =>
      Effect.map(ask("card.search", asked), (reply) =>
        Json.objects(reply, "cards").map((row) => {
          const signed = Json.member(row, "signed")
          return {
            node: Json.unsigned(row, "node_id", 32),
            hostname: Json.string(row, "hostname"),
            signed: Json.isObject(signed) ? signed : {},
            pinned: Identity.decodePublicKey(Json.string(row, "pinned"))
          }
        })
      ),
    hostnameOf: (node) =>
      Effect.map(ask("peer", { target: String(node), recent: true }), (row) => Json.string(row, "hostname")).pipe(
        Effect.orElseSucceed(() => "")
      ),
    sha256,
    verify,
    book: CardBookFile.at(cardBook, files)
  }
  return options
})

/** The answer as data. */
export const row = ({ asked, found, problems }: CapabilityDirectory.Answer): Json.JsonObject => ({
  found: found.map(({ isUsable, peer, tools, toolsCount, ...rest }) => ({
    peer: {
      node_id: peer.node,
      address: peer.address,
      hostname: peer.hostname,
      fingerprint: peer.fingerprint,
      trusted: peer.isTrusted
    },
    ...rest,
    usable: isUsable,
    tools_count: toolsCount,
    tools: tools.map(({ description, name, parameters, schema, score }) => ({
      name,
      description,
      parameters: parameters.map(({ isRequired, name: parameter, type }) => ({
        name: parameter,
        type,
        required: isRequired
      })),
      schema,
      score
    }))
  })),
  problems: problems.map(({ detail, node }) => ({ node_id: node, detail })),
  asked
})

/** The answer in lines. Texts of cards hold nothing hidden: such cards are refused. */
export const lines = ({ asked, found, problems }: CapabilityDirectory.Answer, words: string): ReadonlyArray<string> => [
  ...found.flatMap((service) => described(service)),
  ...(found.length === 0 ? [`nothing found for ${JSON.stringify(words)} (${asked} peers asked)`] : []),
  ...problems.map(({ detail, node }) => `  ${node === 0 ? "registry" : `node ${node}`}: ${detail}`)
]

const described = ({ next, peer, target, title, tools }: FoundService): ReadonlyArray<string> => [
  `${target}${title === "" ? "" : `  ${title}`}`,
  `  ${peer.isTrusted ? "trusted" : "not trusted"}  ${peer.fingerprint}`,
  ...tools.map(
    ({ description, name, parameters }) =>
      `  ${name}(${parameters.map((parameter) => `${parameter.name}${parameter.isRequired ? "" : "?"}`).join(", ")})` +
      `${description === "" ? "" : `  ${description}`}`
  ),
  `  → ${next}`
]
