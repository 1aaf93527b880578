"""Questions to one fit or to m: degrees of freedom, tests, predictions, the random part, advice."""
