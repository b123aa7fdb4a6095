"""Where the links of an approval e-mail lead: a page that asks once more, and the answer to the waiting run."""
