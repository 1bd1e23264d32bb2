/** What a cloud answered that was no answer to the question: a 5xx, or words that leave the question open. */
export class CloudError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CloudError";
  }
}
