# Source this in bash to use .venv as the ROS installation of the shell: `source scripts/env.sh`.
# A ROS that was sourced before is left out: its libraries and these do not mix.
_sfs_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
_sfs_venv=$_sfs_root/.venv

unset PYTHONPATH PYTHONHOME COLCON_PREFIX_PATH
export VIRTUAL_ENV=$_sfs_venv
export PATH=$_sfs_venv/bin:$PATH
export AMENT_PREFIX_PATH=$_sfs_venv
export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
export RMW_IMPLEMENTATION=rmw_fastrtps_cpp
# Without this profile most images are lost on the way: see README, 'Images must arrive'.
export FASTRTPS_DEFAULT_PROFILES_FILE=${FASTRTPS_DEFAULT_PROFILES_FILE:-$_sfs_root/config/fastdds_shared_memory.xml}

# The ROS wheels would restart every Python to set the library path; it is set here instead.
LD_LIBRARY_PATH=$_sfs_venv/lib
for _sfs_libs in "$_sfs_venv"/lib/python3*/site-packages/ros_*.libs; do
  LD_LIBRARY_PATH+=:$_sfs_libs
done
export LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
unset _sfs_root _sfs_venv _sfs_libs
