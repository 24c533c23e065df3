"""Two parties multiply a number of each, and see the product only: tacit run -n 2 examples/hello.py"""

import tacit

with tacit.session() as session:
    x = session.secret(6.0, owner=0)  # party 1 may write None here: only the owner's number counts
    y = session.secret(7.0, owner=1)
    print(f"the product is {session.reveal(x * y):g}")
