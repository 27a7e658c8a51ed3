"""A real Ray cluster of two nodes on this machine, of which one can be killed; for the test and the demonstration.

Prints the head's address and the other node's id. A line on standard input kills that node as a power cut would; its
end ends the cluster.

    python benchmarks/two_ray_nodes.py [CORES_A_NODE]
"""

import os
import sys

# Ray reports home and gives its workers nice 15 unless told otherwise: beside anything else they take minutes.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


def main():
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - after the environment that Ray reads

    cores = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    node = {"num_cpus": cores, "memory": cores * 2 * 2**30, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    other = cluster.add_node(**node)
    print(cluster.address, other.node_id, flush=True)
    if sys.stdin.readline():
        cluster.remove_node(other, allow_graceful=False)
        print("killed", flush=True)
        sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
