/** What is promised, in the words in which a broken one is told. The design's section 1, and what sections 4 to 7 add to it. */
export const Promised = {
  Durable: "a job whose id was told exists, until its deletion was asked for",
  TrueAnswers: "an answer shows a job as its row was since the question, and a list leaves none out",
  OncePerCall: "one call becomes one job at most",
  SubmitOnce: "one attempt becomes one batch job at most",
  OneAtATime: "no attempt begins while another one of its job may still run",
  NothingAfterTheEnd: "no batch job is made for a job that is over",
  Fence: "a write takes effect only on the version and for the owner that it names, who is the row's",
  OwnTerm: "nobody renews a term or writes to a job under one that another process began",
  ClaimOfTheDead: "a job is claimed only from nobody or from a term that is over",
  Transitions: "a status changes as the table says, and a terminal one never",
  RequestsStay: "a request stays on its row, and changes nothing else there",
  RequestsAreAsked: "a request is left only for a caller who asked for it",
  Events: "every change of a status has its event, with the change, and no event comes without one",
  EndWithoutDoubt: "a job is over only when nothing of it runs any more, unless the cloud has lost it",
  TrueEnd: "a job ends as its batch job did, or as its request asked",
  Terms: "a term is one process's, over for good, and its number is never used again",
  TermsEndKnowingly:
    "a term ends by its holder, by a whole TTL of silence, or by a successor that knew of it",
  TrustIsSole: "no peer expires the term of a process that still trusts in its lease",
  Isolation: "a tenant neither sees nor touches another's jobs",
  Repeats:
    "a repeat under one key is answered with the first job, and with no other for a day after its deletion",
  Attempts: "no job has more attempts than it may have",
  Takeover: "soon after the faults stop, each job has an owner who lives, or a reason to have none",
  Ends: "after the faults stop, every job ends, and every deletion is done",
  NothingLeft: "after the faults stop, nothing runs in a cloud that no active job names",
  Secrets: "the values of a job's environment reach its batch jobs, and no row, event, log or answer",
  NoSurprise: "no error comes that nobody foresaw",
} as const;
export type Promised = (typeof Promised)[keyof typeof Promised];

/** A promise that was broken. */
export interface Violation {
  readonly promise: Promised;
  /** By whom, on what. */
  readonly words: string;
  readonly atMs: number;
}

/** Where the watchers tell what they found; the first one counts. */
export type Report = (promise: Promised, words: string) => void;

/** Where the watchers tell that a promise was put to the test: what it speaks of came about. One never tested holds of itself. */
export type Tested = (promise: Promised) => void;
