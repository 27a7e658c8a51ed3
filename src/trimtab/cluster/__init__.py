"""A Ray cluster: reached, its nodes held against the driver, and work other than studies handed out to it."""
