/** Where the keeper of a state directory keeps its things. */
import { Effect } from "effect"
import type { CliHost } from "../CliHost.ts"
import * as ConfigFile from "../ConfigFile.ts"

/** Its control socket, its services, its log and its record of calls. */
export interface KeeperPlaces {
  readonly home: string
  readonly socket: string
  readonly services: string
  readonly log: string
  /** The record of calls. */
  readonly audit: string
  /** Tools of peers as they were first seen. */
  readonly pins: string
  /** What was decided about calls for good. */
  readonly approvals: string
  /** The record of calls that mounts of this node made. */
  readonly egress: string
  /** What services listed, a file for each. */
  readonly lists: string
  /** Which services the peers listed. */
  readonly roster: string
  /** Numbers of the capability cards of this node. */
  readonly cards: string
  /** The newest cards seen of others. */
  readonly cardBook: string
}

/** The places of whoever runs the command. */
export const places: Effect.Effect<KeeperPlaces, never, CliHost> = Effect.map(ConfigFile.directory, ({ home }) => ({
  home,
  socket: `${home}/keeper.sock`,
  services: `${home}/services.json`,
  log: `${home}/keeper.log`,
  audit: `${home}/mcp-audit.jsonl`,
  pins: `${home}/mcp-pins.json`,
  approvals: `${home}/mcp-approvals.json`,
  egress: `${home}/mcp-egress.jsonl`,
  lists: `${home}/mcp-lists`,
  roster: `${home}/mcp-front.json`,
  cards: `${home}/mcp-cards.json`,
  cardBook: `${home}/mcp-card-book.json`
}))
