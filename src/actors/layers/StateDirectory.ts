/** Where a node keeps its state (architecture, decision 8; node §10): `PILOT_HOME`, by default `~/.pilot`, mode 0700. */

/** What decides about places: the environment and the home directory of the user who asked. */
export interface Surroundings {
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly homeDirectory: string
}

/** The paths of one state directory. */
export interface StateDirectory {
  readonly home: string
  /** `PILOT_HOME` was set, so this node stands apart from the user's usual one. */
  readonly isExplicit: boolean
  readonly config: string
  readonly identity: string
  readonly pid: string
  readonly log: string
  readonly rendezvousPid: string
  readonly rendezvousLog: string
  readonly rendezvousStore: string
  /** Written by a running rendezvous, so that a node of the same user finds it without flags. */
  readonly rendezvousCard: string
}

/** The state directory of these surroundings. */
export const resolve = ({ variables, homeDirectory }: Surroundings): StateDirectory => {
  const { PILOT_HOME: explicit } = variables
  const isExplicit = explicit !== undefined && explicit !== ""
  return at(isExplicit ? withoutTrailingSlash(explicit) : `${withoutTrailingSlash(homeDirectory)}/.pilot`, isExplicit)
}

/** The state directory at a known place. */
export const at = (home: string, isExplicit: boolean): StateDirectory => ({
  home,
  isExplicit,
  config: `${home}/config.json`,
  identity: `${home}/identity.key`,
  pid: `${home}/pilot.pid`,
  log: `${home}/pilot.log`,
  rendezvousPid: `${home}/rendezvous.pid`,
  rendezvousLog: `${home}/rendezvous.log`,
  rendezvousStore: `${home}/rendezvous.db`,
  rendezvousCard: `${home}/rendezvous.json`
})

const withoutTrailingSlash = (path: string): string =>
  path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path
