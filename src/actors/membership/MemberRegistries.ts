/**
 * The registries of a node behind one face: questions about a target go to the one that knows it, what the node says of itself
 * to all of them, each with signatures of its own. Home's word counts; what another refuses is logged, because it may be away.
 */
import { Effect } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { type Cards, RegistryClient, RegistryError } from "../registry/RegistryClient.ts"
import { hasOwnName } from "./MemberNodes.ts"
import type { Member, Roster, Upright } from "./Roster.ts"
import * as TargetRoute from "./TargetRoute.ts"

type Client = RegistryClient["Service"]

/** The service, in local ids. */
export const make = (roster: Roster): Client => {
  const home = <A>(use: (client: Client) => Effect.Effect<A, RegistryError>): Effect.Effect<A, RegistryError> =>
    Effect.suspend(() => {
      const [first] = roster.all()
      return first === undefined ? unavailable : use(first.registry)
    })
  const at = <A>(
    local: NodeId,
    use: (client: Client, node: NodeId, member: Member) => Effect.Effect<A, RegistryError>
  ) =>
    Effect.suspend((): Effect.Effect<A, RegistryError> => {
      const member = roster.of(local)
      return member === undefined ? unavailable : use(member.registry, roster.inside(member, local), member)
    })
  const everywhere = <A>(
    what: string,
    use: (client: Client) => Effect.Effect<A, RegistryError>,
    isMeant: (member: Upright) => boolean = () => true
  ): Effect.Effect<A, RegistryError> =>
    Effect.suspend(() => {
      const [first, ...others] = roster.up()
      const told = Effect.forEach(
        others.filter((member) => member.state === "joined" && isMeant(member)),
        (member) =>
          use(member.registry).pipe(
            Effect.timeout(TELL_TIMEOUT),
            Effect.catch((error) => notTaken(member, what, error.message))
          ),
        { concurrency: "unbounded", discard: true }
      )
      return first === undefined
        ? home(use)
        : Effect.map(Effect.all([use(first.registry), told], { concurrency: 2 }), ([reply]) => reply)
    })

  return RegistryClient.of({
    register: (options) => home((client) => client.register(options)),
    heartbeat: home((client) => client.heartbeat),
    deregister: everywhere("leaving", (client) => client.deregister),
    lookup: (local) =>
      at(local, (client, node, member) =>
        Effect.map(client.lookup(node), (found) => TargetRoute.found(roster, member, found))
      ),
    resolve: (local) => at(local, (client, node) => client.resolve(node)),
    resolveHostname: (name) =>
      Effect.flatMap(TargetRoute.route(roster, name), ({ found, registry, target }) =>
        Effect.map(registry.resolveHostname(String(target)), (value) => {
          // Of a name no more is known than where it leads.
          const { address, hostname, node, raw } = found({ ...value, publicKey: NO_KEY, endpoint: undefined })
          return { address, hostname, node, raw, isPublic: value.isPublic }
        })
      ),
    setHostname: (name) =>
      everywhere(
        "the name",
        (client) => client.setHostname(name),
        (member) => !hasOwnName(member)
      ),
    setVisibility: (isPublic) => everywhere("the visibility", (client) => client.setVisibility(isPublic)),
    setTags: (tags) => everywhere("the tags", (client) => client.setTags(tags)),
    setTaskExec: (enabled) => everywhere("the task flag", (client) => client.setTaskExec(enabled)),
    score: (local) => at(local, (client, node) => client.score(node)),
    addScore: (local, points) => at(local, (client, node) => client.addScore(node, points)),
    reportTrust: (local) => at(local, (client, node) => client.reportTrust(node)),
    revokeTrust: (local) => at(local, (client, node) => client.revokeTrust(node)),
    requestHandshake: (local, text) => at(local, (client, node) => client.requestHandshake(node, text)),
    respondHandshake: (local, accept) => at(local, (client, node) => client.respondHandshake(node, accept)),
    pollHandshakes: home((client) => client.pollHandshakes),
    publishKeyChain: (local, chain) => at(local, (client, node) => client.publishKeyChain(node, chain)),
    cards: cards(roster, home),
    several: {
      route: (target) => TargetRoute.route(roster, target),
      members: () =>
        roster.all().map((member) => ({
          registry: member.registry,
          inside: (target) => TargetRoute.inside(roster, member, target)
        }))
    }
  })
}

/** A card names the node of one registry, home's: it is published there, and cards are searched everywhere. */
const cards = (
  roster: Roster,
  home: <A>(use: (client: Client) => Effect.Effect<A, RegistryError>) => Effect.Effect<A, RegistryError>
): Cards => ({
  sign: (card) => roster.all()[0]!.registry.cards.sign(card),
  publish: (signed) => home((client) => client.cards.publish(signed)),
  withdraw: (service) => home((client) => client.cards.withdraw(service)),
  search: (question) =>
    Effect.suspend(() => {
      const [first, ...others] = roster.all()
      if (first === undefined) return unavailable
      const ask = (member: Member) =>
        Effect.map(member.registry.cards.search(question), (rows) =>
          rows.flatMap((row) => {
            const node = roster.outside(member, row.node)
            return node === undefined ? [] : [{ ...row, node, hostname: roster.outsideName(member, row.hostname) }]
          })
        )
      const further = Effect.forEach(
        others.filter(({ state }) => state === "joined"),
        (member) => Effect.orElseSucceed(Effect.timeout(ask(member), SEARCH_TIMEOUT), () => []),
        { concurrency: "unbounded" }
      )
      return Effect.map(Effect.all([ask(first), further], { concurrency: 2 }), ([own, rest]) => [
        ...own,
        ...rest.flat()
      ])
    })
})

const notTaken = ({ card }: Member, what: string, detail: string): Effect.Effect<void> =>
  Effect.logWarning(`the rendezvous ${card.alias} did not take ${what} of this node`, detail)

const unavailable: Effect.Effect<never, RegistryError> = Effect.fail(
  new RegistryError({ reason: "Unavailable", operation: "registry", detail: "this node is registered nowhere yet" })
)

const NO_KEY = new Uint8Array(0)
/** Of a further registry. */
const TELL_TIMEOUT = "5 seconds"
const SEARCH_TIMEOUT = "5 seconds"
