"""trimtab: how mixture-of-experts load balancing holds up under initialization and capacity stress."""
